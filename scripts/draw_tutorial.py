"""Makes the pictures of docs/tutorial.md, and README's, from a finished `make demo`, and copies the answers that it
prints (scripts/write_numbers.py puts them into README). Pages are shown by Chromium.

The demo's subjects are made, so its pictures may be published; those of a study of patients may not.

    make demo && python scripts/draw_tutorial.py
"""

import argparse
import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import yaml
from markdown_it import MarkdownIt
from PIL import Image

from understudy.report.figures import Example, draw_samples
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "config/demo.yaml"  # whose names the paths below have
GENERATOR = "phantom/generators/rectified_flow"
FIGURES = {  # picture, below docs/: figure, below results/
    "pictures/samples": f"{GENERATOR}/samples",
    "pictures/predictions": "figures/phantom/predictions_unet",
    "pictures/dice": "figures/phantom/dice",
    "pictures/memorization": f"{GENERATOR}/memorization",
    "pictures/memorization_of_copies": "phantom/generators/copies/memorization",
    "pictures/pairs_of_copies": "phantom/generators/copies/pairs",
}
PAGES = {  # picture: page, and the width and height of the screen in CSS pixels
    "demo_report": ("report.html", 1280, 740),
    "pictures/report_on_a_phone": ("report.html", 390, 844),
    "pictures/privacy": (f"{GENERATOR}/privacy.html", 1000, 700),
}
ANSWERS = "answers.txt"
CARD = "phantom/release/rectified_flow/README.md"
CARD_STYLE = (
    "body {font: 16px/1.5 sans-serif; margin: 1.5em} table {border-collapse: collapse} td, th {border: 1px solid "
)
CARD_STYLE += "#ccc; padding: 2px 8px; text-align: left}"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NARROWEST = 500  # pixels, of a window of Chromium: a phone is a frame in a wider one
LARGEST = 200_000  # bytes of a picture; of a larger one the colours are reduced


def save(picture: Image.Image, name: str, docs: Path) -> None:
    path = (docs / name).with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def picture_of(figure) -> Image.Image:
    png = io.BytesIO()
    figure.savefig(png, dpi=160, bbox_inches="tight")
    plt.close(figure)
    return Image.open(png)


def what_it_is_about(results: Path) -> Image.Image:
    """Real and synthetic images, and what a U-Net that was trained on them finds in a subject unknown to it."""
    config = yaml.safe_load((ROOT / CONFIG).read_text())
    samples = {name: Stack.open(results / f"phantom/generators/{name}/samples.zip") for name in config["generators"]}
    augmentation = config["experiments"]["augmentations"][0]
    trained = results / "phantom/segmenters/unet"
    examples = {name: trained / name / augmentation / "repeat1/example.png" for name in ("real", *samples)}
    found = {name: Example(name, augmentation, 1, path) for name, path in examples.items()}
    return picture_of(draw_samples(Stack.open(results / "phantom/stacks/train.zip"), samples, found))


def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise ValueError(f"found none of {', '.join(BROWSERS)}, expected one to show pages: apt-get install chromium")
    return found


def first_screen(page: Path, width: int, height: int, chromium: str) -> Image.Image:
    """What a window of this size shows of a page when it is opened."""
    with tempfile.TemporaryDirectory() as folder:
        frame, png = Path(folder, "frame.html"), Path(folder, "screen.png")
        style = f"border: 0; width: {width}px; height: {height}px"
        frame.write_text(f'<body style="margin: 0"><iframe style="{style}" src="{page.resolve().as_uri()}"></iframe>')
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={folder}/profile", f"--window-size={max(width, NARROWEST)},{height}"]
        subprocess.run([*command, f"--screenshot={png}", frame.as_uri()], check=True, capture_output=True)
        return Image.open(png).crop((0, 0, width, height)).copy()


def card_page(card: Path, folder: str) -> Path:
    """The card of a release as a page, as sites for data sets show it: without the lines for programs at its top."""
    text = card.read_text().split("\n---\n", 1)[1]
    page = Path(folder, "card.html")
    page.write_text(f"<!doctype html><style>{CARD_STYLE}</style>{MarkdownIt().enable('table').render(text)}")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="of the demo")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder of the documents")
    a = parser.parse_args()
    chromium = browser()
    with named_os_errors(), tempfile.TemporaryDirectory() as folder:
        if not (a.results / CARD).is_file():
            raise ValueError(f"{a.results / CARD}: no such file, expected a finished study of {CONFIG}: make demo")
        real = Stack.open(a.results / "phantom/stacks/train.zip")
        save(picture_of(draw_samples(real, {})), "pictures/slice", a.output)
        save(what_it_is_about(a.results), "demo_samples", a.output)
        for name, figure in FIGURES.items():
            save(Image.open(a.results / f"{figure}.png"), name, a.output)
        for name, (page, *size) in PAGES.items():
            save(first_screen(a.results / page, *size, chromium), name, a.output)
        shutil.copyfile(a.results / ANSWERS, a.output / f"demo_{ANSWERS}")
        save(first_screen(card_page(a.results / CARD, folder), 1000, 700, chromium), "pictures/card", a.output)


if __name__ == "__main__":
    run(main)
