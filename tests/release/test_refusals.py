"""Every reason against a release is named, all at once, and nothing is written."""

import json
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace

import pytest
from house import OPTIONS, SUBJECTS
from made import make_stack
from project import ROOT

from understudy.core.files import read_json, sha256_of_file, write_json
from understudy.core.stack import Stack, StackWriter
from understudy.release.about import About
from understudy.release.refuse import Sources, refusals


def refused(house, *said, sources=None, about=None):
    """The release is refused for exactly these reasons (a part of each line), and nothing is there afterwards."""
    with pytest.raises(ValueError) as error:
        house.release(sources=sources or house.sources, about=about or house.about)
    reasons = str(error.value).split("\n  - ")[1:]
    assert len(reasons) == len(said), reasons
    for reason, part in zip(reasons, said, strict=True):
        assert part in reason
    assert not house.output.parent.exists()
    return reasons


def test_nothing_speaks_against_it(house):
    assert refusals(house.sources, house.about) == []


def test_no_audit(house):
    house.sources.audit.unlink()
    refused(house, "audit.json: found no audit, expected one. Run the rule that makes it: snakemake ")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "found no JSON"), ("[]", "found format list"), ('{"format": 2}', "found format 2, expected 1")],
)
def test_no_audit_that_can_be_read(house, text, said):
    house.sources.audit.write_text(text)
    refused(house, said)


def test_an_audit_that_lacks_something(house):
    audit = json.loads(house.sources.audit.read_text())
    del audit["limit"], audit["recall"]
    house.sources.audit.write_text(json.dumps(audit))
    refused(house, "found no limit, recall, expected an audit")


def test_an_audit_of_other_images(house):
    house.make_samples(count=13)
    refused(house, "it is out of date. Audit them again", "found 12 images audited, expected all 13")


def test_an_audit_of_another_generator(house):
    house.make_audit(generator="diffusion", dataset="other")
    refused(house, "found dataset other, expected made", "found generator diffusion, expected stylegan2")


def test_memorized_images(house):
    reasons = ["37 of 12 images are copies of training images", "the detector finds 0.42 of rotated copies"]
    memorized = {"count": 3, "share": 0.25, "low": 0.05, "high": 0.57}
    house.make_audit(verdict="fail", reasons=reasons, memorized=memorized, limit=0.01)
    said = [f"verdict fail (25 % memorized, 1 % allowed): {reason}" for reason in reasons]
    refused(house, *said)


def test_a_verdict_that_somebody_improved(house):
    house.make_audit(memorized={"count": 3, "share": 0.25})
    refused(house, "found 25 % memorized, 0 % allowed, and yet the verdict pass: the file was changed")


def test_a_failed_audit_without_a_reason_still_refuses(house):
    house.make_audit(verdict="unknown")
    refused(house, "verdict unknown (0 % memorized, 0 % allowed): it says no reason")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"licence": None}, ["release.licence: found none"]),
        ({"licence": "do what you like"}, ["release.licence: found 'do what you like', expected an identifier"]),
        ({"licence": "LicenseRef-X"}, ["found LicenseRef-X without its terms"]),
        ({"title": "", "creators": []}, ["release.title: found none", "release.creators: found none"]),
        ({"date": None}, ["release.date: found none"]),
        ({"date": "31.1.2026"}, ["release.date: found '31.1.2026', expected a day such as 2026-01-31"]),
        ({"date": "20260131"}, ["release.date: found '20260131'"]),
        ({"creators": [{"name": "A", "orcid": "0000-0002-1825-0097"}]}, ["found orcid '0000-0002-1825-0097'"]),
    ],
)
def test_what_the_sharer_did_not_say(house, options, said):
    refused(house, *said, about=About.of("made", "stylegan2", OPTIONS | options))


def test_images_of_real_subjects(house):
    real = house.folder / "stacks/train.zip"
    write_json(real.with_suffix(".json"), {"sha256": sha256_of_file(real)})
    house.make_audit(count=8, samples_sha256=sha256_of_file(real))
    refused(house, "found images of real subjects", sources=replace(house.sources, images=real))


def test_names_that_may_say_who_it_is(house):
    stack = Stack.open(house.sources.images)
    path = house.generator / "named.zip"
    with StackWriter(path, stack.meta) as writer:
        for i in range(12):
            writer.add_png(f"{SUBJECTS[i % 4]}_{i:03d}.png" if i < 5 else stack.names[i], stack.png(i))
    write_json(path.with_suffix(".json"), {"sha256": sha256_of_file(path)})
    house.make_audit(images="named")
    refused(
        house,
        "found 5 names such as 'phantom_000_000.png', expected numbers",
        sources=replace(house.sources, images=path),
    )


def test_headers_that_may_say_who_it_is(house):
    stack, path = Stack.open(house.sources.images), house.generator / "marked.zip"
    text = b"tEXt" + b"Patient\0Mr X"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    with StackWriter(path, stack.meta) as writer:
        for i, name in enumerate(stack.names):
            png = stack.png(i)
            writer.add_png(name, png[:33] + chunk + png[33:] if i in (3, 7) else png)
    write_json(path.with_suffix(".json"), {"sha256": sha256_of_file(path)})
    house.make_audit(images="marked")
    reasons = refused(house, "found 2 images that are not pixels alone", sources=replace(house.sources, images=path))
    assert "000003.png carries tEXt, expected pixels alone; 000007.png carries tEXt" in reasons[0]


def test_images_that_changed_after_they_were_made(house):
    with zipfile.ZipFile(house.sources.images) as archive:
        position = archive.getinfo("000004.png").header_offset + 200
    content = bytearray(house.sources.images.read_bytes())
    content[position] ^= 1
    house.sources.images.write_bytes(content)
    said = ("it is out of date", "samples.zip: is not the file that", "found 1 images that are not pixels alone")
    assert "image 000004.png does not have its CRC-32" in refused(house, *said)[2]


def test_no_images(house):
    house.sources.images.unlink()
    refused(house, "no such stack")


# ------------------------------------------------------------------------------------------------ weights
def test_weights_whose_own_samples_failed(house):
    """The released images are filtered and pass; the weights could draw what the filter removed."""
    house.make_samples(name="filtered")
    house.make_audit("filtered_audit", "filtered")
    house.make_audit(verdict="fail", reasons=["2 images are copies"], memorized={"count": 2, "share": 0.17})
    filtered = {"images": house.generator / "filtered.zip", "audit": house.generator / "filtered_audit.json"}
    sources = replace(house.with_weights(), **filtered)
    reasons = refused(house, "verdict fail (17 % memorized, 0 % allowed): 2 images are copies", sources=sources)
    assert "are copies. The weights can draw again what a filter removed" in reasons[0]
    house.release(sources=replace(house.sources, **filtered))
    assert read_json(house.output / "audit/audit.json")["filtered"] is True


def test_one_audit_of_images_and_weights_is_told_once(house):
    house.make_audit(verdict="fail", reasons=["2 images are copies"])
    refused(house, "2 images are copies", sources=house.with_weights())


def test_weights_without_an_audit(house):
    refused(house, "found no audit of the unfiltered samples", sources=replace(house.sources, weights=house.weights))


def test_weights_of_other_samples(house):
    house.make_samples(weights_sha256="0" * 64)
    house.make_audit()
    refused(house, "samples.json: was drawn from other weights than", sources=house.with_weights())


def test_weights_whose_audit_is_of_the_filtered_images(house):
    house.make_samples(name="filtered")
    audit = house.make_audit("filtered_audit", "filtered")
    refused(
        house,
        "filtered_audit.json: is the audit of filtered images",
        sources=replace(house.with_weights(), weights_audit=audit),
    )


def test_weights_that_are_none(house):
    house.weights.write_bytes(b'\x10\0\0\0\0\0\0\0{"a": 1}        ')
    refused(house, "expected weights of train_generator", sources=house.with_weights())
    house.weights.write_bytes(b"x")
    refused(house, "found no safetensors header", sources=house.with_weights())


# ------------------------------------------------------------------------------------------------ the script
def run_script(house, **more):
    script = [sys.executable, ROOT / "scripts/make_release.py", "--dataset", "made", "--generator", "stylegan2"]
    given = {
        "options": json.dumps({**OPTIONS, "folders": False, "salt_file": None}),
        "images": house.sources.images,
        "audit": house.sources.audit,
        "manifest": house.sources.manifest,
        "training": house.sources.training,
        "table": house.table,
        "output": house.output,
        **more,
    }
    for name, value in given.items():
        script += [f"--{name}", str(value)]
    return subprocess.run(script, capture_output=True, text=True)


def test_the_script_makes_what_the_library_makes(house):
    done = run_script(house)
    assert done.returncode == 0 and "10 files" in done.stdout, done.stderr
    made = (house.output / "SHA256SUMS").read_text()
    house.release()
    assert (house.output / "SHA256SUMS").read_text() == made


def test_the_script_says_all_reasons_in_one_message(house):
    house.make_audit(verdict="fail", reasons=["a", "b"])
    done = run_script(house, options=json.dumps(OPTIONS | {"licence": None}))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and "refused, for 3 reasons:" in done.stderr
    assert not house.output.parent.exists()


def test_a_stack_of_noise_is_no_audit(house):
    """An audit file that is something else ends in a line, not in a traceback."""
    make_stack(house.generator / "audit.json", ["a"], 1)
    done = run_script(house)
    assert done.returncode == 1 and "found no JSON" in done.stderr and "Traceback" not in done.stderr


def test_sources_have_no_default_that_skips_the_audit():
    with pytest.raises(TypeError):
        Sources(images="x")
