"""The documents agree with the project: links lead somewhere, tables are those of the code, examples run."""

import re
import runpy
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch
from made import LEVELS, make_stack
from project import ROOT, Project
from scripts_here import run_here

from understudy.config.study import complete
from understudy.evaluate.scores import score_volume, write_scores
from understudy.generate.weights import describe, publish_weights, seeded_build
from understudy.segment.publish import predicted_volumes, write_history
from understudy.segment.publish import publish_weights as publish_segmenter
from understudy.segment.segmenter_training import SegmenterTrainee
from understudy.segment.training_images import load_training_set
from understudy.stack.lineage import check_training_stacks

CHECK_LINKS = runpy.run_path(str(ROOT / "scripts/check_links.py"))


def test_links_lead_somewhere():
    done = run_here("check_links")
    assert not done.returncode, done.stderr
    assert {ROOT / "README.md", ROOT / "docs/audit.md", ROOT / "config/README.md"} <= set(CHECK_LINKS["documents"]())


def test_links_that_lead_nowhere_are_told(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Top\n\n## Who, and *why*?\n\n## Again\n\n## Again\n\n```\n# code\n```\n")
    links = ["../README.md", "../README.md#who-and-why", "../README.md#again-1", "#here", "https://a.example/x#y"]
    gone = {"gone.md": "file", "../README.md#code": "heading", "../README.md#again-2": "heading", "#there": "heading"}
    gone |= {"../../etc": "file"}
    document = tmp_path / "docs/a.md"
    text = "".join(f"[x]({link}) " for link in [*links, *gone])
    document.write_text(f"# Here\n\n{text}\n`[in code](nowhere.md)`\n\n```\n[in code](nowhere.md)\n```\n")
    said = [f"docs/a.md: {link}: no such {what}" for link, what in gone.items()]
    found = list(CHECK_LINKS["broken"](document, tmp_path))
    assert [line.removesuffix(" in the project") for line in found] == said


def test_the_config_reference_explains_every_key():
    for line in (ROOT / "config/README.md").read_text().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line


def test_the_pictures_are_those_of_the_rules(tmp_path):
    """Written anew in a copy they are the same; a copy with an arrow less is called stale."""
    project, names = Project(tmp_path), ("workflow/README.md", "docs/dag.svg", "docs/architecture.svg")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/architecture.md", tmp_path / "docs")
    readme = tmp_path / names[0]
    readme.write_text(readme.read_text().replace("  audit_samples --> filter_samples\n", ""))

    def written(*arguments):
        command = [sys.executable, "scripts/write_pictures.py", *arguments]
        return subprocess.run(command, cwd=project.folder, capture_output=True, text=True)

    said = written("--check").stderr
    assert f"{', '.join(names)}: not what rules and rooms are" in said and "Traceback" not in said
    assert written().returncode == 0
    for name in names:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), "python scripts/write_pictures.py"


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_xml(picture):
    """A browser shows nothing of one that is not: two hyphens in a comment are enough."""
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_table_of_rules_has_their_resources():
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    blocks = re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    found = {}
    for name, block in blocks:
        if "shell:" in block:
            patterns = (r"threads: (\d+)", r"mem_mb=(\d+)", r"runtime=(\d+)", r"gpu=(\d+)")
            matches = [re.search(pattern, block) for pattern in patterns]
            found[name] = [match[1] if match else "-" for match in matches]
    table = (ROOT / "workflow/README.md").read_text().split("\n## Rules")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*) \|$", table, re.MULTILINE)
    assert {name: [cell.strip() for cell in cells.split("|")[-4:]] for name, cells in rows} == found


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The files that the examples of docs/files.md open, made by untrained networks."""
    torch.manual_seed(0)
    folder = tmp_path / "results/phantom"
    train = make_stack(folder / "stacks/train.zip", ["a", "b", "c"], 4, seed=1)
    test = make_stack(folder / "stacks/test.zip", ["d"], 3, seed=2)
    check_training_stacks([train], test)
    options = {"channel_base": 64, "channel_max": 4, "latent_size": 4, "mapping_layers": 1, "precision": "fp32"}
    generator = seeded_build("stylegan2", 5, 16, 0, **options)
    about = describe("stylegan2", generator, train.meta, dataset="phantom", seed=0, images_seen=0)
    path = folder / "generators/stylegan2/weights.safetensors"
    path.parent.mkdir(parents=True)
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
    rows = [
        {**keys, "subject": subject, **score, "failure": ""}
        for subject, *volumes, spacing_mm in predicted_volumes(trainee.network, test, "all", "cpu", options)
        for score in score_volume(*volumes, list(LEVELS), spacing_mm)
    ]
    write_scores(path.with_name("scores.csv"), rows)
    monkeypatch.chdir(tmp_path)


def test_examples_run(results):
    text = (ROOT / "docs/files.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        exec(compile(example, "docs/files.md", "exec"), {})
