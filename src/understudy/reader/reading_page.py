"""The two files of a reader study: the page, which goes to readers, and the key, which never does."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from understudy.files.atomic import hash_of, write_json, write_text_atomically
from understudy.files.escape import json_in_html
from understudy.stack import Stack
from understudy.stack.labels import LABEL_CHANNEL

from .blind import blinded, encode_alike
from .draw import Shown, draw, secret_of
from .reader_names import FORBIDDEN, LONGEST, RESERVED

FORMAT = 1
TITLES = {"t1": "T1", "t1ce": "T1 with contrast", "t2": "T2", "flair": "FLAIR"}
PARTS = ("page.css", "page.js")


def make_study(stacks: Mapping[str, Stack], options: Mapping, seed: int, dataset: str, folder: Path) -> dict:
    """Writes {folder}/page.html and key.json, and the key once more as keys/{study}.json; returns the key.

    `stacks` has the real images first; `options` is the section `reader_study` of a config. The page of another set of
    images is another study, whose answers are not those of this one: its key stays in keys/.
    """
    shown = draw(stacks, options["images"], options["repeats"], seed)
    channels = options["channels"] or [c for c in next(iter(stacks.values())).channels if c != LABEL_CHANNEL]
    pngs = encode_alike(blinded_images(stacks, shown, channels, options, seed))
    digests = [hashlib.sha256(png).hexdigest() for png in pngs]
    study = hash_of([options["confidence"], [one.id for one in shown], digests])
    about = {
        "study": study,
        "confidence": options["confidence"],
        "names": {"reserved": RESERVED, "forbidden": FORBIDDEN, "longest": LONGEST},
        "panels": [TITLES.get(channel, channel) for channel in channels],
        "height": stacks[shown[0].source].meta["height"],
        "width": stacks[shown[0].source].meta["width"],
        "ids": [one.id for one in shown],
    }
    key = key_of(study, shown, options, dataset, list(stacks))
    write_json(folder / "keys" / f"{study}.json", key)
    write_text_atomically(folder / "page.html", page(about, pngs))
    write_json(folder / "key.json", key)
    return key


def blinded_images(
    stacks: Mapping[str, Stack], shown: Sequence[Shown], channels: Sequence[str], options: Mapping, seed: int
) -> list[np.ndarray]:
    """uint8 (C * H, W) of each, its channels one below the other. A repeat has other noise, so its bytes are others."""
    secret, images = secret_of(stacks, seed), []
    for place, one in enumerate(shown):
        stack = stacks[one.source]
        modalities = [c for c in stack.channels if c != LABEL_CHANNEL]
        x_CHW = stack[one.index][[stack.channels.index(c) for c in modalities]]
        noise = np.random.default_rng(int(hash_of([secret, "noise", place]), 16))
        y_CHW = blinded(x_CHW, options, noise)[[modalities.index(c) for c in channels]]
        images.append(y_CHW.reshape(-1, y_CHW.shape[2]))
    return images


def key_of(study: str, shown: Sequence[Shown], options: Mapping, dataset: str, sources: Sequence[str]) -> dict:
    """What is what. It names slices of patients."""
    images = [{"id": one.id, "source": one.source, "image": one.name, "repeat_of": one.repeat_of} for one in shown]
    about = {"format": FORMAT, "study": study, "dataset": dataset, "sources": list(sources)}
    return {**about, "confidence": options["confidence"], "images": images}


def page(about: Mapping, pngs: Sequence[bytes]) -> str:
    """One HTML file with everything inside."""
    folder = files("understudy.reader") / "page"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in PARTS)
    images = "\n".join(
        f'<script type="text/plain" id="image{place}">{base64.b64encode(png).decode()}</script>'
        for place, png in enumerate(pngs)
    )
    text = (folder / "page.html").read_text(encoding="utf-8")
    parts = {"STYLE": style, "SCRIPT": script, "STUDY": json_in_html(about), "IMAGES": images}
    return re.sub(r"<!--([A-Z]+)-->", lambda found: parts[found[1]], text)  # at once: no part is searched in another
