"""How fast a model trains and is used: measured, or else from its FLOPs, the bytes that it moves, its kernels, and the
data sheet of a GPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from understudy.files.json_forms import Open
from understudy.files.outside import read_json_as
from understudy.run.demand import Demand

from .gpus import COPY_RANGE, COPY_SHARE, FP32_FACTOR, LAUNCH_RANGE, LAUNCH_SECONDS, SHARE, SHARE_RANGE, Gpu, gpu_of

FORMAT = 1


class PerKimg(Open):
    training: Annotated[FiniteFloat, Field(gt=0)]
    inference: Annotated[FiniteFloat, Field(gt=0)]


class Record(Open):
    """A file of measure_speed."""

    format: int
    device: str
    seconds: FiniteFloat
    time: str
    watt: FiniteFloat | None
    seconds_per_kimg: PerKimg


@dataclass(frozen=True)
class Speed:
    """Seconds are per thousand images, on one device."""

    training: float
    inference: float  # a generator's sampling, a segmenter's prediction
    watt: float | None
    watt_measured: bool
    device: str
    source: str  # for people
    measured: bool
    fastest: float = 1.0  # times the seconds: the range that they may lie in
    slowest: float = 1.0
    share: float | None = None  # of the GPU's peak that was assumed


@dataclass(frozen=True)
class _Rates:
    """Of a GPU at one end of what is assumed, or in its middle."""

    flops: float  # a second
    copied: float  # bytes a second
    launch: float  # seconds a kernel

    def seconds(self, flops: float, moved: float, kernels: float) -> float:
        """Computing and moving overlap, starting kernels does not."""
        return max(flops / self.flops, moved / self.copied) + kernels * self.launch


def modelled(demand: Demand, options: Mapping, gpu: Gpu, share: float = SHARE) -> Speed:
    """From FLOPs, bytes moved and kernels of an image, at shares of the GPU's peaks in the model's precision, a larger
    one where that is fp32."""
    precision, flops = options.get("precision", "fp32"), demand.training_flops
    peak, memory = gpu.peak(precision), gpu.memory * 1e9
    factor = FP32_FACTOR if peak == gpu.peak("fp32") else 1.0
    used, (low, high) = min(factor * share, 1.0), (min(factor * end, 1.0) for end in SHARE_RANGE)
    middle = _Rates(used * peak, COPY_SHARE * memory, LAUNCH_SECONDS)
    slow = _Rates(min(low, used) * peak, COPY_RANGE[0] * memory, LAUNCH_RANGE[1])
    fast = _Rates(max(high, used) * peak, COPY_RANGE[1] * memory, LAUNCH_RANGE[0])
    training, longest, shortest = (
        rates.seconds(flops, demand.training_moved, demand.training_kernels) for rates in (middle, slow, fast)
    )
    inference = middle.seconds(demand.inference_flops, demand.inference_moved, demand.inference_kernels)
    told = f"{flops / 1e12:.2f} TFLOP" if flops >= 1e11 else f"{flops / 1e9:.2f} GFLOP"
    source = f"FLOP model: {told} an image at {used:g} of {peak / 1e12:g} TFLOP/s ({precision})"
    parts = {
        source: flops / middle.flops,
        f"MODEL: {demand.training_moved / 1e9:.1f} GB moved an image at {COPY_SHARE:g} of {gpu.memory:g} GB/s": (
            demand.training_moved / middle.copied
        ),
        f"MODEL: {demand.training_kernels:.0f} kernels an image of {1e6 * LAUNCH_SECONDS:g} us": (
            demand.training_kernels * LAUNCH_SECONDS
        ),
    }
    return Speed(
        1000 * training,
        1000 * inference,
        gpu.board_watt,
        False,
        gpu.name,
        max(parts, key=parts.get),
        False,
        share=share,
        fastest=shortest / training,
        slowest=longest / training,
    )


def measured(record: Mapping) -> Speed:
    """From a file of measure_speed. Power that could not be measured is that of the board, if it is known."""
    gpu, watt = gpu_of(record["device"]), record["watt"]
    seconds = [record["seconds_per_kimg"][key] for key in ("training", "inference")]
    source = f"measured for {record['seconds']:.0f} s on {record['device']}, {record['time'][:10]}"
    board = gpu.board_watt if gpu else None
    return Speed(*seconds, watt if watt is not None else board, watt is not None, record["device"], source, True)


def read_record(path: Path, wanted: Mapping) -> tuple[dict | None, str]:
    """(what measure_speed wrote, "") or (None, why not): no file, or one that was measured with another `wanted`."""
    if not path.is_file():
        return None, ""
    record = read_json_as(Record, path, "what measure_speed wrote")
    if record["format"] != FORMAT:
        return None, f"{path}: found format {record['format']}, expected {FORMAT}; `snakemake calibrate` again"
    if other := [key for key, value in wanted.items() if record.get(key) != value]:
        return None, f"{path}: measured with other {', '.join(other)}; `snakemake calibrate` measures anew"
    return record, ""
