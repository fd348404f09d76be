"""Every reason against a release is named, all at once, and nothing is written."""

import json
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest
from house import OPTIONS, SUBJECTS
from safetensors.torch import load_file

from understudy.files.atomic import read_json, sha256_of_file, write_json
from understudy.generate.weights import publish_weights, read_metadata
from understudy.release.about import About
from understudy.release.refuse import Sources, refusals
from understudy.stack import Stack, StackWriter


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
    refused(house, "audit.json: found No such file or directory, expected an audit. Audit the images again")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "found no JSON"), ("[]", "found list"), ('{"format": 1}', "found 'format' (1)"), ("{", "found no JSON")],
)
def test_no_audit_that_can_be_read(house, text, said):
    house.sources.audit.write_text(text)
    refused(house, said)


@pytest.mark.parametrize("change", [{"limit": None}, {"limit": 1.5}, {"verdict": "perhaps"}, {"pairs": []}])
def test_an_audit_of_another_form(house, change):
    """Also one that holds more: a list of pairs would name subjects."""
    audit = json.loads(house.sources.audit.read_text())
    house.sources.audit.write_text(json.dumps(audit | change))
    refused(house, f"found '{next(iter(change))}'")


def test_an_audit_with_a_limit_that_is_no_number(house):
    house.sources.audit.write_text(house.sources.audit.read_text().replace('"limit": 0.0', '"limit": NaN'))
    refused(house, "found no JSON (NaN is no number)")


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


def test_false_alarms_that_the_audit_has_explained_are_no_reason(house):
    """One flagged image is what the false positive rate lets expect: the verdict says so, and so does a release."""
    house.make_audit(memorized={"count": 1, "share": 1 / 12, "low": 0.01, "high": 0.36})
    assert refusals(house.sources, house.about) == []


def test_a_failed_audit_without_a_reason_still_refuses(house):
    house.make_audit(verdict="fail")
    refused(house, "verdict fail (0 % memorized, 0 % allowed): it says no reason")


def test_an_audit_that_its_own_files_contradict(house):
    sources = replace(house.sources, recheck=lambda audit, images, nearest: [f"{audit}, {images.name}: changed"])
    refused(house, "audit.json, samples.zip: changed", sources=sources)


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("seed", "found subjects that were drawn by the seed alone"),
        (None, "found no word on how its subjects"),
        ("file", ""),
    ],
)
def test_subjects_that_outsiders_can_draw(house, drawn, said):
    path = house.sources.train
    stack = Stack.open(path)
    meta = {key: value for key, value in stack.meta.items() if key not in ("count", "format")}
    meta["source"] = {"dataset": "made", **({"drawn": drawn} if drawn else {})}
    with StackWriter(path, meta) as writer:
        for i, name in enumerate(stack.names):
            writer.add_png(name, stack.png(i))
    house.make_audit()
    if said:
        refused(house, said)
    else:
        assert refusals(house.sources, house.about) == []


def test_other_stacks_than_those_of_the_audit(house):
    house.make_audit(train_sha256="1" * 64)
    refused(house, "train.zip: is another stack than the audit was made with")


def test_weights_with_the_audit_of_other_samples(house):
    """The audit of the images is named for the weights as well; their own samples were never audited."""
    other = house.make_samples(count=13, name="other")
    sources = replace(house.with_weights(), weights_samples=other)
    refused(house, "it is out of date. Audit them again", sources=sources)


def test_weights_that_an_attack_told_apart_or_that_nobody_attacked(house):
    said = "the weights give away who was trained on"
    refused(house, said, sources=replace(house.with_weights(), recheck_attack=lambda *_: [said]))
    refused(house, "found no attack on these weights", sources=replace(house.with_weights(), weights_attack=None))


def test_images_of_other_weights_or_of_nobody_known(house):
    house.make_samples(weights_sha256="1" * 64)
    house.make_audit()
    refused(house, "samples.zip: was drawn from other weights than ")
    house.make_samples(lineage="unknown")
    house.make_audit()
    refused(house, "found images of unknown lineage")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"licence": None}, ["release.licence: found none"]),
        ({"licence": "do what you like"}, ["release.licence: found 'do what you like', expected an identifier"]),
        ({"licence": "LicenseRef-X"}, ["found LicenseRef-X without its terms"]),
        ({"title": "", "creators": []}, ["release.title: found none", "release.creators: found none"]),
        ({"date": None}, ["release.date: found none"]),
        ({"date": "31.1.2026"}, ["release.date: found '31.1.2026', expected a day such as 2026-01-31"]),
        ({"rehearsal": True}, ["rehearsal: found true, expected a study"]),
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


def part(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda png: png[:33] + part(b"tEXt", b"Patient\0Mr X") + png[33:], "carries tEXt, expected pixels alone"),
        (lambda png: png[:-12] + part(b"IEND", b"Mr X"), "carries bytes in its end"),
        (lambda png: png[:-12] + part(b"IDAT", b"Mr X") + png[-12:], "carries 4 bytes behind its pixels"),
        (lambda png: png[:8] + part(b"IHDR", png[16:29] + b"Mr X") + png[33:], "has another header"),
        (lambda png: png[:33] + part(b"IHDR", b"Mr X") + png[33:], "has its parts in another order or number"),
    ],
)
def test_images_that_may_say_who_it_is(house, change, said):
    stack, path = Stack.open(house.sources.images), house.generator / "marked.zip"
    with StackWriter(path, stack.meta) as writer:
        for i, name in enumerate(stack.names):
            png = stack.png(i)
            writer.add_png(name, change(png) if i in (3, 7) else png)
    write_json(path.with_suffix(".json"), {"sha256": sha256_of_file(path)})
    house.make_audit(images="marked")
    reasons = refused(house, "found 2 images that are not pixels alone", sources=replace(house.sources, images=path))
    assert f"000003.png {said}" in reasons[0] and f"000007.png {said}" in reasons[0]


def test_one_picture_has_one_png(house):
    """Written in another way, by which something could be said in filters and streams: it does not come through."""
    house.release()
    before = (house.output / "images.zip").read_bytes()
    stack = Stack.open(house.sources.images)
    contents = [(name, stack[i], stack.png(i)) for i, name in enumerate(stack.names)]
    with StackWriter(house.sources.images, stack.meta) as writer:
        for name, x_CHW, png in contents:
            rows = b"".join(b"\0" + row.tobytes() for row in x_CHW.reshape(-1, x_CHW.shape[2]))
            other = zlib.compress(rows, 9)
            writer.add_png(name, png[:33] + part(b"IDAT", other[:50]) + part(b"IDAT", other[50:]) + png[-12:])
    beside = house.sources.images.with_suffix(".json")
    write_json(beside, read_json(beside) | {"sha256": sha256_of_file(house.sources.images)})
    house.make_audit()
    house.make_measured()
    house.release()
    assert (house.output / "images.zip").read_bytes() == before


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
    house.make_samples(name="filtered", filtered={"samples_sha256": sha256_of_file(house.sources.images)})
    house.make_audit("filtered_audit", "filtered")
    house.make_audit(
        verdict="fail",
        reasons=["2 images are copies"],
        memorized={"count": 2, "share": 0.17, "low": 0.05, "high": 0.45},
    )
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
    sources = replace(house.with_weights(), weights_audit=None)
    refused(house, "found no audit of the unfiltered samples", sources=sources)


def test_weights_of_other_samples(house):
    house.make_samples(weights_sha256="0" * 64)
    house.make_audit()
    refused(
        house,
        "samples.zip: was drawn from other weights than",
        "samples.zip: was drawn from other weights than",
        sources=house.with_weights(),
    )


def test_weights_whose_audit_is_of_the_filtered_images(house):
    house.make_samples(name="filtered")
    audit = house.make_audit("filtered_audit", "filtered")
    refused(
        house,
        "filtered_audit.json: is the audit of filtered images",
        sources=replace(house.with_weights(), weights_audit=audit),
    )


def test_weights_whose_samples_were_guarded(house):
    """Whoever has them draws without the guard."""
    metadata = read_metadata(house.weights)
    metadata["options"]["guard"] = 1
    publish_weights(load_file(house.weights), house.weights, metadata)
    house.make_samples()
    house.make_audit()
    refused(house, "found a guard of 1, expected none", sources=house.with_weights())


def test_weights_that_are_none(house):
    house.weights.write_bytes(b'\x10\0\0\0\0\0\0\0{"a": 1}        ')
    refused(house, "expected weights of train_generator", sources=house.with_weights())
    house.weights.write_bytes(b"x")
    refused(house, "found no safetensors header", sources=house.with_weights())


def test_sources_have_no_default_that_skips_the_audit():
    with pytest.raises(TypeError):
        Sources(images="x", audit="y", nearest="z", train="m", test="m", training="t")
