"""The study runs whatever the paths are called that a user gives it, and no command runs out of their names."""

import json
import os

import pandas as pd
import pytest
import torch
import yaml
from made import make_stack
from project import NO_LIMITS, PARTS, Project

from understudy.prepare.phantom import PhantomOptions, make_phantom
from understudy.segment import build
from understudy.stack.tensors import write_tensors

NASTY = "Dr O'Brien's \"set\" $(touch pwned) `touch pwned`; touch pwned & | < > * ? [a-z] # ! ~ \\ % = : , é\n脳\t$HOME"
UNET = {"depth": 3, "base_filters": 4}
SWIN = {"patch": 2, "width": 8, "depths": [1], "heads": [1], "decoder_width": 8, "window": 2}
SWIN |= {"samples": 60, "epoch_samples": 30, "batch": 4, "collapse": "keep"}
GAN = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 4, "kimg": 0.02}
RELEASE = {"generators": ["stylegan2"], "images": "samples", "title": "t", "licence": "LicenseRef-ours"}
RELEASE |= {"licence_url": "https://example.org/terms", "creators": [{"name": "n"}], "date": "2026-01-31"}
RUN = ("--profile", "profiles/local", "--configfile", "config/tiny.yaml")


def nasty(kind):
    """A relative path in a folder and with a name that are both hard to carry."""
    return f"{NASTY}/{kind} {NASTY}"


def study():
    """A config in which every path is nasty."""
    root = {"root": nasty("raw"), "split": nasty("split"), "identities": nasty("who")}
    return {
        "results": nasty("results"),
        "runs": nasty("runs"),
        "datasets": {"made": root},
        "images": {"size": 32},
        "generators": {"stylegan2": {**GAN, "precision": "fp32"}},
        "imports": {"theirs": {"stack": nasty("stack")}},
        "samples": {"count": 30},
        "segmenters": {"swin": {**SWIN, "pretrained": nasty("backbone")}},
        "audit": {
            **{"views": ["all", "annotation"], "filter_views": ["all"], "variants": "flip"},
            **{"false_positive_rate": 0.1, "planted": 10, "null_images": 20, **NO_LIMITS},
        },
        "experiments": {"repeats": 1, "augmentations": ["plain"], "training_sets": ["real"], "keep_weights": True},
        "evaluation": {
            "fidelity": {
                "spaces": ["random", "segmenter"],
                "frechet_draws": 2,
                "weights": {"segmenter": nasty("weights")},
            }
        },
        "release": {**RELEASE, "licence_file": nasty("licence"), "salt_file": nasty("salt")},
        "reader_study": {"generators": ["stylegan2"], "images": 4, "repeats": 2},
    }


def make_inputs(folder, config):
    """The files that the config names."""
    dataset = config["datasets"]["made"]
    make_phantom(folder / dataset["root"], PhantomOptions(subjects=6, size=32))
    names = sorted(path.name for path in (folder / dataset["root"]).iterdir() if path.is_dir())
    rows = [f"{name},{'test' if i < 2 else 'train'}\n" for i, name in enumerate(names)]
    (folder / dataset["split"]).write_text("subject,split\n" + "".join(rows))
    (folder / dataset["identities"]).write_text("made,other\n" + "".join(f"{name},p{name}\n" for name in names))
    make_stack(folder / config["imports"]["theirs"]["stack"], ["x", "y"], 15, size=32)
    backbone = build("swin", 4, 4, 32, **SWIN).network.backbone.state_dict()
    torch.save(backbone, folder / config["segmenters"]["swin"]["pretrained"])
    about = {"segmenter": "unet", "options": {**UNET, "intensities": "raw"}, "channels": 4, "classes": 4, "size": 32}
    about["lineage"] = ["a"]
    weights = build("unet", 4, 4, 32, **UNET).state_dict()
    path = folder / config["evaluation"]["fidelity"]["weights"]["segmenter"]
    write_tensors(path, weights, about)
    (folder / config["release"]["licence_file"]).write_text("Our terms.\n")
    (folder / config["release"]["salt_file"]).write_text("0123456789abcdef" * 4)
    (folder / config["release"]["salt_file"]).chmod(0o600)


def answer(folder, page_key, name, reader):
    key = json.loads((folder / page_key).read_text())
    answers = [{"id": i["id"], "call": "real", "confidence": 1, "seconds": 2.0} for i in key["images"]]
    text = json.dumps({"format": 1, "study": key["study"], "reader": reader, "answers": answers})
    (folder / name).write_text(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(project, config): the study has run, readers and all."""
    folder, config = tmp_path_factory.mktemp("hostile") / "The study of Dr O'Brien; $(touch pwned)", study()
    folder.mkdir()
    project = Project(folder)
    (folder / NASTY).mkdir()
    make_inputs(folder, config)
    project.write("config/tiny.yaml", yaml.safe_dump(config))
    key = f"{config['results']}/made/reader_study/key.json"
    project.made(key, *RUN)
    config["reader_study"]["answers"] = [nasty("answers"), nasty("other answers")]
    for name, reader in zip(config["reader_study"]["answers"], "AB", strict=True):
        answer(folder, key, name, reader)
    project.write("config/tiny.yaml", yaml.safe_dump(config))
    project.made(*RUN)
    return project, config


def test_nothing_ran_that_a_name_says(made):
    project, _ = made
    names = [name for _, folders, files in os.walk(project.folder.parent) for name in (*folders, *files)]
    assert NASTY in names and "pwned" not in names


def test_everything_is_there(made):
    project, config = made
    results, runs = project.folder / config["results"], project.folder / config["runs"]
    assert {path.name for path in project.folder.iterdir()} == {*PARTS, NASTY, ".snakemake"}
    assert (runs / "made/generators/stylegan2").is_dir()
    assert list(pd.read_csv(results / "tables/dice.csv")["repeats"]) == [1]
    spaces = pd.read_csv(results / "tables/fidelity.csv")
    assert set(spaces["generator"]) >= {"stylegan2", "theirs"} and "segmenter" in set(spaces["space"])
    assert "Our terms." in (results / "made/release/stylegan2/LICENSE").read_text()
    assert set(pd.read_csv(results / "tables/readers.csv")["reader"]) >= {"A", "B"}
    assert (results / "report.html").is_file() and (results / "figures/readers.png").is_file()


def test_a_second_run_has_nothing_to_do_and_status_finds_it_all(made):
    project, _ = made
    assert "Nothing to be done" in project.made(*RUN)
    assert "done" in project.made("status", *RUN)
