"""One command for a machine with a GPU and little else: what this project does there, in eight minutes.

    python benchmarks/on_gpu.py                              # on a GPU
    python benchmarks/on_gpu.py --official FOLDER            # also beside the official StyleGAN code
    python benchmarks/on_gpu.py --rehearse --minutes 3       # the same lines with small models, on a CPU
    python benchmarks/on_gpu.py --count                      # FLOPs of the full models into benchmarks/flops.json

The most important lines come first (gpu_lines.py). Each is written into --output, a JSON object a line, as soon as it
is known, and the Markdown table beside it is written anew. Lines run in a process of their own: one that crashes, or
hangs for longer than --patience seconds, is a line that says so, and the next ones go on. Lines that no time is left
for are listed. Ends with 1 where a line failed or missed its limit.

Needs PyTorch 2.11 to 2.13 and Python 3.11 to 3.13; wheels_for_gpu.py beside it gathers what such a machine lacks.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER = HERE / "gpu_lines.py"
SYSTEM = ("device", "driver", "CUDA", "torch", "triton", "python")  # of the line `card`: they stand above the table
FINAL = 6  # the last lines of what a crashed process said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="in all; no line is begun later")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each training")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds that a line may take")
    parser.add_argument("--output", type=Path, default=HERE / "on_gpu.jsonl")
    parser.add_argument("--lines", nargs="+", help="these alone, such as `card` or `generator stylegan2`")
    parser.add_argument("--official", type=Path, help="checkout of github.com/NVlabs/stylegan3")
    parser.add_argument("--rehearse", action="store_true", help="small models, on a CPU")
    parser.add_argument("--count", action="store_true", help="write benchmarks/flops.json and measure nothing")
    a = parser.parse_args()
    sys.path.insert(0, str(HERE))
    if a.count:
        return count()
    import torch
    from gpu_lines import LINES

    if not (a.rehearse or torch.cuda.is_available()):
        raise SystemExit("on_gpu.py: torch sees no GPU here; --rehearse runs the same lines with small models")
    if unknown := set(a.lines or ()) - set(LINES):
        raise SystemExit(f"--lines: found {sorted(unknown)}, expected any of {list(LINES)}")
    how = ["--seconds", str(a.seconds), *["--small"] * a.rehearse]
    how += ["--official", str(a.official.resolve())] if a.official else []
    a.output.parent.mkdir(parents=True, exist_ok=True)
    found = [{"line": "run", "date": time.strftime("%Y-%m-%d"), "rehearsal": a.rehearse}]
    a.output.write_text(json.dumps(found[0]) + "\n")
    for line in measured(list(a.lines or LINES), how, 60 * a.minutes, a.patience):
        found.append(line)
        with a.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
        a.output.with_suffix(".md").write_text(table(found))
        print(row(line), flush=True)
    sys.exit(any("failed" in line or line.get("passed") is False for line in found))


def measured(lines: list[str], how: list[str], budget_s: float, patience_s: float) -> Iterator[dict]:
    """Each line as the process that measures them says it. A process that ends early has failed at its next line."""
    end = time.monotonic() + budget_s
    while lines:
        worker = Worker(lines, how)
        while lines:
            left = end - time.monotonic()
            if left <= 0:
                worker.stop()
                yield from ({"line": line, "left out": "no time was left"} for line in lines)
                return
            try:
                said = worker.next(patience_s)
            except queue.Empty:
                yield {"line": lines.pop(0), "failed": f"took too long: {worker.stop()}"}
                break
            if said is None:
                yield {"line": lines.pop(0), "failed": worker.end()}
                break
            lines.pop(0)
            yield said


class Worker:
    """A process that measures lines in order, and what it says."""

    def __init__(self, lines: list[str], how: list[str]):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_paths())}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *how, *lines], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.said: queue.Queue[str | None] = queue.Queue()
        self.errors: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.listener = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.listener.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith("{"):
                self.said.put(line)
        self.said.put(None)

    def next(self, seconds: float) -> dict | None:
        """What it has measured next; None where it has ended. Raises queue.Empty where it is silent for so long."""
        line = self.said.get(timeout=seconds)
        return None if line is None else json.loads(line)

    def stop(self) -> str:
        """Ends it; the last lines that it said."""
        self.process.kill()
        self.process.wait()
        return self._last()

    def end(self) -> str:
        """How it ended by itself, which takes PyTorch a moment after its last word, and why."""
        return f"ended with {self.process.wait()}: {self._last()}"

    def _last(self) -> str:
        self.listener.join()
        return " | ".join(text.strip() for text in self.errors[-FINAL:] if text.strip())


def _paths() -> list[str]:
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return [str(HERE.parent / "src"), *given]


# ------------------------------------------------------------------------------------------------ table
def table(found: list[dict]) -> str:
    """Markdown: a row for each line."""
    run, *lines = found
    told = "A rehearsal on a CPU with small models: no measurement of a GPU." if run["rehearsal"] else "On a GPU."
    card = next((line for line in lines if line["line"] == "card"), {})
    versions = ", ".join(f"{key} {card[key]}" for key in SYSTEM if key in card)
    rows = [f"| {line['line']} | {', '.join(texts(line)) or '-'} |" for line in lines]
    return "\n".join([f"{told} {run['date']}. {versions}.", "", "| line | measured |", "| --- | --- |", *rows, ""])


def texts(line: dict) -> list[str]:
    skipped = {"line", "took", *SYSTEM}
    return [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}".replace("|", "/")
        for key, value in line.items()
        if key not in skipped and value is not None
    ]


def row(line: dict) -> str:
    return f"{line['line']:32s}{', '.join(texts(line))}"


# ------------------------------------------------------------------------------------------------ counting
def count() -> None:
    """FLOPs of an image of every model at full size. PyTorch before 2.13 cannot count all of them."""
    import generators as gans
    import segmenters
    import torch
    from gpu_lines import FLOPS, GENERATORS

    from understudy.generate.generator_flops import demand as of_generator
    from understudy.segment.segmenter_flops import demand as of_segmenter

    models = {}
    for line, (name, options) in GENERATORS.items():
        if "precision" not in options:
            models[line] = of_generator(name, gans.CHANNELS, 256, {**gans.FULL.get(name, {}), **options})
    for line, (name, options, _) in segmenters.NETWORKS.items():
        o = segmenters.options_of(name, options, 256)
        models[line] = of_segmenter(name, segmenters.CHANNELS, segmenters.CLASSES, 256, o)
    found = {name: {"training": one.training_flops, "sampling": one.inference_flops} for name, one in models.items()}
    FLOPS.write_text(json.dumps({"torch": torch.__version__, "models": found}, indent=1) + "\n")
    print(f"{FLOPS}: {len(found)} models")


if __name__ == "__main__":
    main()
