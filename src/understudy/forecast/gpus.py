"""GPUs by name: peak speeds, memory and board power, from their makers' data sheets. For forecasts where nothing was
measured.

Peaks are dense (data sheets like to print twice as much, "with sparsity"), sums in fp32, boost clock. Boards of the
same chip in another form (PCIe, NVL) are slower: give their own line if it matters.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    name: str
    fp16: float  # TFLOP/s of the tensor cores
    bf16: float | None  # None: no tensor cores for it, such a training runs at fp32 speed
    tf32: float | None  # products of fp32 on them
    fp32: float  # TFLOP/s outside the tensor cores
    memory: float  # GB/s
    board_watt: float

    def peak(self, precision: str) -> float:
        """FLOP/s."""
        known = {"fp16": self.fp16, "bf16": self.bf16 or self.fp32, "tf32": self.tf32 or self.fp32}
        return known.get(precision, self.fp32) * 1e12


#                                                 fp16   bf16  tf32  fp32   GB/s    W
GPUS = {
    "v100":    Gpu("NVIDIA V100 SXM2",             125,  None,  None, 15.7,   900, 300),
    "t4":      Gpu("NVIDIA T4",                     65,  None,  None,  8.1,   320,  70),
    "a100":    Gpu("NVIDIA A100 SXM",              312,   312,   156, 19.5,  1555, 400),  # of 40 GB; of 80 GB: 2039
    "a40":     Gpu("NVIDIA A40",                 149.7, 149.7,  74.8, 37.4,   696, 300),
    "a6000":   Gpu("NVIDIA RTX A6000",           154.8, 154.8,  77.4, 38.7,   768, 300),
    "rtx3090": Gpu("NVIDIA GeForce RTX 3090",     71.0,  71.0,  35.6, 35.6,   936, 350),
    "rtx4090": Gpu("NVIDIA GeForce RTX 4090",    165.2, 165.2,  82.6, 82.6,  1008, 450),
    "l40s":    Gpu("NVIDIA L40S",                362.0, 362.0, 183.0, 91.6,   864, 350),
    "h100":    Gpu("NVIDIA H100 SXM",            989.4, 989.4, 494.7, 66.9,  3350, 700),
    "h200":    Gpu("NVIDIA H200 SXM",            989.4, 989.4, 494.7, 66.9,  4800, 700),
}  # fmt: skip

# Share of the peak that trainings reach. Published, at 256 x 256 or near it: StyleGAN 2 in the study 9 % (30 EFLOP in
# 288 hours of A100), NVIDIA's 2D nnU-Net about 12 %, StyleGAN3-T 17 % (49.8 s per thousand images on one A100). The
# fewer TFLOP/s a GPU has for each GB/s of its memory, the larger the share.
SHARE = 0.15
SHARE_RANGE = (0.09, 0.3)
# Outside the tensor cores it is so many times larger. Published: the progressive GAN of the study, 0.40 TFLOP an image,
# 12 000 kimg in 5 days on a V100, 71 %; its StyleGAN 1, 0.47 TFLOP, 25 000 kimg in 6 days on two, 72 %.
FP32_FACTOR = 4.0
# Share of the memory's data sheet that kernels reach which do nothing but move: assumed, between a cautious value and
# nearly all.
COPY_SHARE = 0.8
COPY_RANGE = (0.6, 0.9)
# Of a kernel, whatever it does. The driver alone takes 4 to 6 us (published for one board, susun-blog.com/blog/
# pegainfer-3-cuda-graph); what PyTorch does before it is assumed: nobody has measured it for these networks.
LAUNCH_SECONDS = 1e-5
LAUNCH_RANGE = (4e-6, 2e-5)


OTHER_FORMS = {"pcie", "nvl", "ti", "d", "super", "laptop", "max", "mig"}  # words of boards that are not of this table


def gpu_of(device_name: str) -> Gpu | None:
    """The GPU that a driver calls so, such as "NVIDIA H100 80GB HBM3"; None for a board that is not in the table."""
    words = device_name.lower().replace("-", " ").split()
    for key, gpu in GPUS.items():
        wanted = [word for word in gpu.name.lower().split()[1:] if word not in ("sxm", "sxm2")]
        if (key in words or all(word in words for word in wanted)) and not OTHER_FORMS.intersection(words):
            return gpu
    return None
