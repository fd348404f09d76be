"""The smallest form of every generator, with all that it does by chance or now and then: it trains in a fraction of a
second. A new generator adds a line; with it, everything is tested that all of them must do. A second form of a
generator has a word after the name."""

SIZE, BATCH = 16, 4
GAN = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "batch": BATCH}
STYLE = {**GAN, "mapping_layers": 2, "precision": "fp32", "r1_interval": 2, "augmentation": "adaptive"}
GROWING = {**GAN, "clamp_fakes": True, "first_resolution": 16, "schedule_interval": 1, "augmentation": "fixed"}
R3GAN = {"channel_base": 64, "channel_max": 8, "group_size": 4, "blocks": 1, "latent_size": 8, "batch": BATCH}
R3GAN |= {"clamp_fakes": True, "burn_in_kimg": 0.02, "gamma": [1, 0.1], "penalty_interval": 2, "precision": "fp32"}
DENOISING = {"width": 32, "multipliers": [1, 1], "blocks": 1, "attention": [8], "batch": BATCH, "evaluations": 3}
DENOISING |= {"learning_rate": 0.003, "dropout": 0.1, "augmentation_probability": 0.3}
CONVNEXT = {"network": "convnext", "target": "x", "patch": 2, "width": 32, "blocks": 2, "attention_interval": 2}
CONVNEXT |= {"batch": BATCH, "evaluations": 3, "learning_rate": 0.003, "dropout": 0.1, "gradient_clip": 1}
TINY = {
    "progressive_gan": GROWING,
    "stylegan1": {**GROWING, "mapping_layers": 2},
    "stylegan2": {**STYLE, "path_length_interval": 3},
    "stylegan3": {**STYLE, "layers": 3, "critical_layers": 1, "margin": 2},
    "stylegan2 noise": {**STYLE, "noise": "random", "clamp_fakes": True},
    "r3gan": R3GAN,
    "diffusion": {**DENOISING, "steps": 40, "step_sampling": "second_moment"},
    "rectified_flow": DENOISING,
    "rectified_flow convnext": CONVNEXT,
    "rectified_flow mean_flow": {**CONVNEXT, "mean_flow": 0.5, "sampler": "jump"},
}


def generator_of(form: str) -> str:
    return form.split()[0]
