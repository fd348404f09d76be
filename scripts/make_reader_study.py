"""Makes the page of a reader study: images of patients and of generators in one HTML file that does not say which
is which.

page.html goes to the readers. key.json, which says what is what, stays where it is; so does the folder keys/, which has
the keys of all pages that were ever made here. docs/reader-study.md tells the rest.
"""

import argparse
from pathlib import Path

from understudy.files.outside import json_argument
from understudy.reader.reading_page import make_study
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack
from understudy.study.grid import REAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--options", type=json_argument, required=True, help="JSON, the section `reader_study`")
    parser.add_argument("--seed", type=int, required=True, help="of the config")
    parser.add_argument("--real", type=Path, required=True, help="stacks/train.zip or test.zip")
    parser.add_argument(
        "--samples", type=Path, nargs="+", required=True, help="stack of each generator, in their order"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of page.html and key.json")
    a = parser.parse_args()
    with named_os_errors():
        named = dict(zip(a.options["generators"], a.samples, strict=True))
        stacks = {name: Stack.open(path) for name, path in {REAL: a.real, **named}.items()}
        stacks = without_failed(stacks)
        key = make_study(stacks, a.options, a.seed, a.dataset, a.output)
    size_mb = (a.output / "page.html").stat().st_size / 1e6
    print(f"{a.output / 'page.html'}: page {key['study']}, {len(key['images'])} images, {size_mb:.1f} MB. For readers.")
    print(f"{a.output / 'key.json'}: what is what. Not for readers.")


def without_failed(stacks: dict[str, Stack]) -> dict[str, Stack]:
    """Without generators whose training failed, as their images are black; where all failed, with them."""
    good = {name: stack for name, stack in stacks.items() if not stack.meta["source"].get("failure")}
    if list(good) == [REAL]:
        return stacks
    for name in stacks.keys() - good.keys():
        print(f"left out: {name}, whose training failed ({stacks[name].meta['source']['failure']})")
    return good


if __name__ == "__main__":
    run(main)
