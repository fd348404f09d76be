"""How fast a model trains and is used: measured, or else from its FLOPs and the data sheet of a GPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from understudy.files.json_forms import Open
from understudy.files.outside import read_json_as
from understudy.run.demand import Demand

from .gpus import FP32_FACTOR, SHARE, SHARE_RANGE, Gpu, gpu_of

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


STEP_SECONDS = 0.02  # a GPU's step takes at least about this: starting its kernels, however small the network


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


def modelled(demand: Demand, options: Mapping, gpu: Gpu, share: float = SHARE) -> Speed:
    """From FLOPs per image, at a share of the GPU's peak in the model's precision, a larger one where that is
    fp32; no step is shorter than STEP_SECONDS."""
    precision, flops = options.get("precision", "fp32"), demand.training_flops
    batch = options["batch"][-1] if isinstance(options["batch"], list) else options["batch"]  # that of most images
    peak, least = gpu.peak(precision), 1000 * STEP_SECONDS / batch
    factor = FP32_FACTOR if peak == gpu.peak("fp32") else 1.0
    used, (low, high) = min(factor * share, 1.0), (min(factor * end, 1.0) for end in SHARE_RANGE)
    training, inference = (1000 * count / (used * peak) for count in (flops, demand.inference_flops))
    told = f"{flops / 1e12:.2f} TFLOP" if flops >= 1e11 else f"{flops / 1e9:.2f} GFLOP"
    source = f"FLOP model: {told} an image at {used:g} of {peak / 1e12:g} TFLOP/s ({precision})"
    factors = {"fastest": min(used / high, 1.0), "slowest": max(used / low, 1.0)}
    if training < least:
        training, factors = least, {"fastest": 0.5, "slowest": 2.0}
        source = f"MODEL: a small network, {1000 * STEP_SECONDS:g} ms a step of {batch} images"
    return Speed(training, inference, gpu.board_watt, False, gpu.name, source, False, share=share, **factors)


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
