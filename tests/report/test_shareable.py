"""Who may see the report stands on top of it; the one to be shared holds no head and no name, not even in its bytes."""

import base64
import html
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from audited import audit_summary
from built import reader_tables
from invented import Invented
from scripts_here import run_apart, run_here

from understudy.files.atomic import write_json
from understudy.report.formats import write_table
from understudy.report.shareable import check_chart, check_page

READERS = ["Dr. Ada Quill", "Bo Secretname"]
PATIENT = "patient-0815"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """With all that could give somebody away: names of subjects and readers, paths and names in errors."""
    study = Invented(tmp_path_factory.mktemp("private"), repeats=2, subjects=6)
    manifest = study.results / "made/stacks/stacks.json"
    splits = json.loads(manifest.read_text())["splits"]
    splits["train"]["subjects"] |= {PATIENT: 3}
    write_json(manifest, {"splits": splits})
    failed = study.settings[0].files(str(study.results), "scores.csv")[0]
    Path(failed).unlink()
    run = Path(study.settings[0].files(str(study.runs), "")[0]) / "hash"
    (run / "lock").touch()
    ended = {"event": "end", "images_seen": 0, "reason": "failed", "message": f"/data/clinic/{PATIENT}/t1.nii: damaged"}
    (run / "attempts.jsonl").write_text(json.dumps(ended) + "\n")
    study.make()
    _add_readers(study)
    _add_audit(study)
    return study


def _add_readers(study) -> None:
    rows = [
        {"dataset": "made", "reader": reader, "id": f"{source}{i}", "source": source, "repeat_of": None}
        | {"call": "real" if (i + place) % 2 else "synthetic", "confidence": 1, "seconds": 1.0}
        for place, reader in enumerate(READERS)
        for source in ("real", "stylegan2")
        for i in range(4)
    ]
    rows += [{**rows[0], "id": "again", "repeat_of": "real0"}]
    for name, table in reader_tables(pd.DataFrame(rows), {}).items():
        write_table(study.results / "tables", name, table)
    shutil.copy(study.results / "figures/made/samples.png", study.results / "figures/readers.png")


def _add_audit(study) -> None:
    folder = study.results / "made/generators/diffusion"
    write_json(folder / "audit.json", audit_summary(generator="diffusion", count=9))
    shutil.copy(study.results / "figures/made/dice.png", folder / "memorization.png")


@pytest.fixture(scope="module")
def house(study):
    return page(study)


@pytest.fixture(scope="module")
def shared(study):
    return page(study, "--shareable")


def page(study, *more, run=run_here) -> str:
    audit = study.results / "made/generators/diffusion/audit.json"
    return study.report("--readers", "--audits", audit, *more, run=run)


def pictures(text: str) -> list[bytes]:
    """Everything that is embedded, whatever its kind."""
    assert not re.findall(r"data:(?!image/png;base64,)[\w/+-]+[;,]", text)
    return [base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", text)]


def test_the_page_of_the_house_says_so_first(study, house):
    body = house.split("<body>")[1]
    assert body.lstrip().startswith(
        '<div class="banner"><p class="in-house">This page shows images of patients. Do not share it.'
    )
    assert body.index("report.shareable: true") < body.index("<h1>")
    figures = study.results / "figures"
    assert (figures / "made/samples.png").read_bytes() in pictures(house) and READERS[0] in house
    assert (figures / "made/thumbnails/diffusion.png").read_bytes() in pictures(house)


def test_the_shareable_page_holds_charts_alone(study, shared):
    assert (
        shared.split("<body>")[1]
        .lstrip()
        .startswith('<div class="banner"><p class="shareable">This page shows no image of a patient.')
    )
    found = pictures(shared)
    dice = (study.results / "figures/made/dice.png").read_bytes()
    memorization = (study.results / "made/generators/diffusion/memorization.png").read_bytes()
    drawn = [png for png in found if png not in (dice, memorization)]  # differences, and what readers said
    assert found.count(dice) == 2 and memorization == dice and len(drawn) == 2  # Dice, nearness
    for png in drawn:
        shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert (shown == 255).all(axis=2).mean() > 0.7  # lines on white, and not the file that lies there
    thumbnails = [f"thumbnails/{name}.png" for name in ("progressive_gan", "stylegan2", "diffusion")]
    for private in ("samples.png", "predictions_unet.png", "predictions_swin.png", *thumbnails):
        data = (study.results / "figures/made" / private).read_bytes()
        assert data not in found and base64.b64encode(data[:300]).decode() not in shared


def test_the_shareable_page_names_nobody_and_no_folder(study, house, shared):
    text = html.unescape(shared)
    assert f"/data/clinic/{PATIENT}" in house  # the error is told to the house
    for word in (*READERS, "Quill", "Secretname", PATIENT, "/data/clinic", str(study.folder), str(Path.home()) + "/"):
        assert word not in text, word
    for said in ("reader 1 (made)", "reader 2 (made)", "reader 1, reader 2", "reader 1, twice", "all readers"):
        assert said in text, said


def test_tables_and_charts_stay(shared):
    for said in ("Predicted less true volume", "Paired comparisons", "Can people tell?", "Copies of patients?"):
        assert said in shared, said


def test_the_bytes_of_the_shareable_page_are_a_function_of_the_files(study, shared):
    assert page(study, "--shareable", run=run_apart) == shared


@pytest.mark.parametrize("name", ["samples", "predictions_unet", "pairs", "grid", "anything"])
def test_other_pictures_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}.png: found a picture that may show a head"):
        check_chart(Path(f"figures/{name}.png"))


@pytest.mark.parametrize(
    "words", [f"of {PATIENT}.", "from <b>/data/clinic/x</b>", "C:\\clinic", "in /home/ada/results"]
)
def test_the_last_look_finds_what_slipped_through(tmp_path, words):
    manifest = tmp_path / "stacks.json"
    write_json(
        manifest,
        {"splits": {"train": {"subjects": {PATIENT: 1, "7": 1}, "lineage": ["h4sh-of"]}, "test": {"subjects": {}}}},
    )
    check_page("<p>7 of 10 and/or 1/2, NCR/NET, https://orcid.org</p>", [manifest])
    with pytest.raises(ValueError, match="in a page that is to be shared"):
        check_page(f"<p>{words}</p>", [manifest])
