"""Names of training sets as people say them."""

from understudy.study.sources import FROM


def spoken(training_set: str) -> str:
    """progressive_gan -> progressive GAN; real+stylegan2 -> real + StyleGAN2."""
    words = training_set.replace("+", " + ").replace(FROM, " of ").replace("_", " ")
    return words.replace("stylegan", "StyleGAN").replace("gan", "GAN")
