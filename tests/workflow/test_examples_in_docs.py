"""Examples in the documents work: those of Python run, that of a module is planned, configs and profiles are read."""

import importlib.util
import re
import runpy
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from documented import Block, blocks
from made import LEVELS, make_stack
from project import ROOT, TINY, Project
from snakemake.cli import parse_args

from understudy.config.study import complete, load_yaml
from understudy.evaluate.scores import score_volume, write_scores
from understudy.files.salt import drawn_salt
from understudy.generate.weights import describe, publish_weights, seeded_build
from understudy.segment.publish import predicted_volumes, predicting, write_history
from understudy.segment.publish import publish_weights as publish_segmenter
from understudy.segment.segmenter_training import SegmenterTrainee
from understudy.segment.training_images import load_training_set
from understudy.stack.lineage import check_training_stacks

EXAMPLES = [
    block
    for document in runpy.run_path(str(ROOT / "scripts/check_links.py"))["documents"]()
    for block in blocks(document, ROOT)
]


def of(language: str, module: bool = False) -> list:
    """`module`: rules that another workflow uses, which documents show as if they were Python."""
    found = [block for block in EXAMPLES if block.language == language and block.text.startswith("module ") == module]
    return [pytest.param(block, id=block.place) for block in found]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The files that examples open, made by untrained networks."""
    torch.manual_seed(0)
    folder = tmp_path / "results/phantom"
    train = make_stack(folder / "stacks/train.zip", ["a", "b", "c"], 4, seed=1)
    test = make_stack(folder / "stacks/test.zip", ["d"], 3, seed=2)
    check_training_stacks([train], test)
    options = {"channel_base": 64, "channel_max": 4, "latent_size": 4, "mapping_layers": 1, "precision": "fp32"}
    generator = seeded_build("stylegan2", 5, 16, 0, **options)
    about = describe("stylegan2", generator, train.meta, dataset="phantom", seed=0, images_seen=0)
    make_stack(folder / "generators/stylegan2/samples.zip", ["a"], 2)
    path = folder / "generators/stylegan2/weights.safetensors"
    publish_weights(generator.networks["generator"].state_dict(), path, about)

    small = {"depth": 2, "base_filters": 2, "samples": 4, "epoch_samples": 4, "batch": 4}
    config = {"datasets": {"phantom": {"phantom": {}, "test_subjects": 2}}, "segmenters": {"unet": small}}
    config["images"], config["experiments"] = {"size": 16}, {"training_sets": ["real"]}
    options = complete(config)["segmenters"]["unet"]
    how = {"fraction": 0.34, "limit": 10, "split_seed": 0, "seed": 0, "device": "cpu"}
    data = load_training_set("real", {"real": train.path}, **how)
    trainee = SegmenterTrainee(
        "unet", options, data, channels=4, classes=4, size=16, augmented=False, seed=0, device="cpu"
    )
    trainee.step(0)
    path = folder / "segmenters/unet/real/plain/repeat1/weights.safetensors"
    path.parent.mkdir(parents=True)
    about = {"segmenter": "unet", "options": options, "channels": 4, "classes": 4, "size": 16}
    about["lineage"] = train.meta["lineage"]
    publish_segmenter(trainee, path, about)
    write_history(trainee.history, path.with_name("history.csv"))
    keys = {"dataset": "phantom", "segmenter": "unet", "training_set": "real", "augmentation": "plain", "repeat": 1}
    predict = predicting(trainee.network, "cpu", options)
    rows = [
        {**keys, "subject": subject, **score, "failure": ""}
        for subject, *volumes, spacing_mm in predicted_volumes(predict, test, "all")
        for score in score_volume(*volumes, list(LEVELS), spacing_mm)
    ]
    write_scores(path.with_name("scores.csv"), rows)
    drawn_salt(tmp_path / "runs/salt")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", of("python"))
def test_an_example_of_python_runs(example, results):
    """At a size of seconds. One that needs a package which we do not is compiled alone."""
    code = compile(example.text.replace("size=256", "size=32"), example.place, "exec")
    names = re.findall(r"^(?:import|from) (\w+)", example.text, re.MULTILINE)
    if any(importlib.util.find_spec(name) is None for name in names):
        return
    host = np.random.default_rng(0)
    given = {f"{name}_ZYX": host.random((4, 8, 8)) > 0.5 for name in ("prediction", "reference")}
    given |= {f"features_{name}": host.normal(size=(1000, 4)) for name in "ab"}
    exec(code, given | {"probabilities": host.dirichlet(np.ones(4), 40)})


@pytest.mark.parametrize("example", of("python", module=True))
def test_an_example_of_a_module_is_planned(example, tmp_path):
    project = Project(tmp_path)
    snakefile = example.text.replace("/home/me/understudy", str(project.folder))
    project.write("Snakefile", f'configfile: "study.yaml"\n\n{snakefile}')
    project.write("study.yaml", "understudy:\n" + textwrap.indent(TINY, "  "))
    assert project.planned("understudy_prepare")["understudy_slice_volumes"] == 1


@pytest.mark.parametrize("example", of("yaml"))
def test_an_example_of_a_config_is_valid(example, tmp_path):
    """Beside data sets and models of the full study, which it may replace; files that it names are there. What is not
    about sections of a config is about a profile."""
    given, study = yaml.safe_load(example.text), load_yaml(ROOT / "config/config.yaml")
    if not given.keys() <= study.keys():
        return profile_is_valid(example, tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    for name in re.findall(r"\b\w+\.csv\b", example.text):
        (tmp_path / name).write_text("subject\n")
    for name in re.findall(r"\b\w+\.zip\b", example.text):
        make_stack(tmp_path / name, ["a"], 1)
    complete({name: study[name] for name in ("datasets", "generators", "segmenters")} | given, tmp_path)


def profile_is_valid(example: Block, folder: Path) -> None:
    """Snakemake reads it, and it is about rules and resources that exist."""
    (folder / "config.yaml").write_text(example.text)
    _, asked = parse_args(["--profile", str(folder)])
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for rule, resources in asked.set_resources.items():
        assert re.search(rf"^rule {rule}:", rules, re.MULTILINE), rule
        unknown = [name for name in resources if not re.search(rf"\b{name}\b", rules)]
        assert [name for name in unknown if not name.startswith("slurm_")] == []
