"""A finished study whose scores are invented: every file that tables, figures and the report read, made in seconds."""

import json
from pathlib import Path

import cv2
import numpy as np
import yaml
from made import LEVELS, make_stack
from scripts_here import run_here

from understudy.config.study import complete
from understudy.evaluate.scores import write_scores
from understudy.files.atomic import write_json, write_text_atomically
from understudy.generate.control import write_control
from understudy.study.grid import Setting, grid

GENERATORS = ["progressive_gan", "stylegan2", "diffusion"]
EVALUATION = {
    "slices": "included", "empties": "study", "equivalence_margin": 0.03, "control_ceiling": 0.5, "bootstrap": 500,
    "primary": ["synthetic"],
}  # fmt: skip
# mean Dice of training on it; with real images 0.8
USE = {"progressive_gan": 0.55, "stylegan2": 0.765, "diffusion": 0.8, "copies": 0.8, "noise": 0.02, "shuffled": 0.2}


class Invented:
    """`folder`/results and `folder`/runs of a study of two networks on one data set."""

    def __init__(self, folder: Path, use: dict | None = None, repeats: int = 6, subjects: int = 24, seeds: int = 1):
        self.folder, self.results, self.runs = folder, folder / "results", folder / "runs"
        self.use = {**USE, **(use or {})}
        self.config = self.results / "config.yaml"
        asked = self._asked(repeats, seeds)
        write_text_atomically(self.config, yaml.safe_dump(asked, sort_keys=False))
        self.settings = list(grid(complete(asked)))
        self.subjects = [f"s{i:02d}" for i in range(subjects)]
        self.host = np.random.default_rng(0)
        self._images()
        self._scores()
        self._runs()

    def _asked(self, repeats: int, seeds: int) -> dict:
        experiments = {"training_sets": ["real", "synthetic", "real+synthetic"], "augmentations": ["augmented"]}
        experiments |= {
            "repeats": repeats,
            "negative_control": True,
            "controls": ["copies", "noise"],
            "generator_seeds": seeds,
        }
        return {
            "results": str(self.results),
            "runs": str(self.runs),
            "datasets": {"made": {"root": "raw", "test_subjects": 2}},
            "generators": dict.fromkeys(GENERATORS, {}),
            "experiments": experiments,
            "evaluation": EVALUATION,
        }

    def _images(self) -> None:
        folder = self.results / "made"
        train = make_stack(folder / "stacks/train.zip", ["a", "b", "c"], 4, size=64)
        splits = {name: {"subjects": dict.fromkeys(s, 4), "count": 4 * len(s)} for name, s in self._split().items()}
        write_json(folder / "stacks/stacks.json", {"splits": splits})
        for generator in GENERATORS:
            place = folder / "generators" / generator
            write_control("copies", train, place / "samples.zip", "made", seed=len(generator))
            options = {"kimg": 12 + len(generator), "batch": 32, "mirror": generator == "diffusion"}
            write_json(place / "weights.json", {"images_seen": 12000, "options": options})

    def _split(self) -> dict:
        return {"train": ["a", "b", "c"], "test": self.subjects}

    def _scores(self) -> None:
        easy = 0.08 * self.host.standard_normal(len(self.subjects))
        for setting in self.settings:
            mean = self.use.get(setting.training_set, 0.8) - 0.02 * (setting.segmenter == "swin")
            for repeat, path in enumerate(setting.files(str(self.results), "scores.csv"), start=1):
                own = mean + 0.004 * self.host.standard_normal()
                write_scores(path, list(self._rows(setting, repeat, own + (easy if mean > 0.3 else 0))))
                self._example(Path(path).with_name("example.png"))

    def _rows(self, setting: Setting, repeat: int, dice_S):
        keys = {key: value for key, value in setting.as_dict().items() if key != "repeats"} | {"repeat": repeat}
        for subject, dice in zip(self.subjects, np.broadcast_to(dice_S, len(self.subjects)), strict=True):
            for label, kind in [(name, "label") for name in LEVELS] + [("whole_tumor", "region")]:
                value = float(np.clip(dice + 0.03 * self.host.standard_normal(), 0, 1))
                mm = {"hausdorff_mm": 40 * (1 - value), "hausdorff95_mm": 20 * (1 - value)}
                voxels = {"reference_voxels": 900, "predicted_voxels": 880, "reference_ml": 0.9, "predicted_ml": 0.88}
                yield {
                    **keys,
                    "subject": subject,
                    "label": label,
                    "kind": kind,
                    "dice": value,
                    "surface_dice": value,
                    "lesion_dice": value,
                    "sensitivity": value,
                    "false_positive_ml": 0.1,
                    "failure": "",
                } | (mm | voxels)

    def _example(self, path: Path) -> None:
        x_HW = np.zeros((3 * 64, 64), np.uint8)
        x_HW[10:54, 10:54] = self.host.integers(60, 200, (44, 44))
        for panel in (1, 2):
            x_HW[64 * panel + 20 : 64 * panel + 40, 20:40] = 102
            x_HW[64 * panel + 25 : 64 * panel + 35, 25:35] = 204
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), x_HW)

    def _runs(self) -> None:
        folders = [s for setting in self.settings for s in setting.files(str(self.runs), "")]
        folders += [self.runs / "made" / kind / g for kind in ("generators", "samples") for g in GENERATORS]
        for folder in map(Path, folders):
            run = folder / "hash"
            run.mkdir(parents=True)
            write_json(run / "config.json", {})
            (run / "progress.jsonl").write_text(json.dumps({"seconds": 5400, "images_seen": 9, "images": 9}) + "\n")

    def script(self, name: str, *arguments: object, run=run_here) -> None:
        done = run(name, *arguments)
        assert done.returncode == 0, done.stderr

    def make(self, *more: object) -> str:
        """Tables, figures and the report; the text of the report."""
        study = ("--config", self.config)
        self.script("make_tables", *study, "--output", self.results / "tables")
        self.script("compare_generators", *study, "--output", self.results / "tables")
        self.script("make_figures", *study, "--dataset", "made", "--output", self.results / "figures/made")
        return self.report(*more)

    def report(self, *more: object, run=run_here) -> str:
        page = self.results / "report.html"
        self.script("make_report", "--config", self.config, "--output", page, *more, run=run)
        return page.read_text()
