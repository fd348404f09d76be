"""Writes the numbers that documents quote: of the full study's forecast, of the tables in
benchmarks/, and of the versions that are needed.

Run it after rules, the cost model, a table of benchmarks/ or a version have changed. --check writes nothing and ends
with an error where a number is stale (a test does). --tables leaves the forecast out, which takes half a minute.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
GPU, GPUS = "a100", "8"  # what the full study's forecast is of
Values = Mapping[str, object]


# ------------------------------------------------------------------------------------------------ the forecast
def full_study() -> dict:
    """Its forecast as JSON, made where there are no results and no measured speeds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config").symlink_to(ROOT / "config")
        command = [sys.executable, ROOT / "scripts/forecast.py", "--gpu", GPU, "--gpus", GPUS, "--json", "told.json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"scripts/forecast.py: {done.stderr.strip()}")
        return json.loads(Path(folder, "told.json").read_text())


def two_digits(value: float) -> str:
    """As many as a model with a range of a factor of three deserves."""
    return f"{float(f'{value:.2g}'):,.0f}"


def of_forecast(told: Mapping) -> Values:
    total, days = told["total"], told["wall_hours_by_gpus"][GPUS] / 24
    costs = dict(zip(("low", "high"), total["gpu_hours_range"], strict=True))
    costs |= {"hours": total["gpu_hours"], "days": days, "disk": total["disk_gb"]}
    flops = {
        name: re.search(r"([\d.]+) TFLOP an image", told["speeds"][model]["source"])[1]
        for name, model in (("stylegan2", "generators/stylegan2"), ("unet", "segmenters/unet/plain"))
    }
    return {"jobs": total["jobs"]} | {name: two_digits(value) for name, value in costs.items()} | flops


# ------------------------------------------------------------------------------------------------ tables of benchmarks/
def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without heads."""
    body = re.findall(r"^\|(?: -+:? \|)+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [line.strip("| ").split(" | ") for table in body for line in table.splitlines()]


def number(cell: str) -> float:
    return float(re.match(r"-?[\d.]+", cell)[0])


def of_disguises(text: str) -> Values:
    found = {name: share for name, share, *_ in rows(text)}
    flagged = re.search(r"nobody has seen: ([\d.]+)% flagged \(([\d.]+)% to ([\d.]+)%\)", text).groups()
    mean = found.pop("mean of two")
    return {"mean": mean, "others": min(found.values()), **dict(zip(("flagged", "low", "high"), flagged, strict=True))}


def of_disguises_leaving_out(text: str) -> Values:
    found = {name: (number(share), number(least)) for name, share, least in rows(text)}
    flagged = re.search(r"([\d.]+)% flagged \(([\d.]+)% to ([\d.]+)%", text).groups()
    least = {"found": min(share for share, _ in found.values()), "worst": min(least for _, least in found.values())}
    least = {name: f"{share:.2f}" for name, share in least.items()}
    return least | dict(zip(("flagged", "low", "high"), flagged, strict=True))


def of_further_disguises(text: str) -> Values:
    found = [number(cells[1]) for cells in rows(text) if len(cells) == 3]  # pairs have a table of their own
    high = sum(share >= 0.95 for share in found)
    pairs, sure = re.search(r"Of (\d+) pairs .* (\d+) are found", text).groups()
    return {"all": len(found), "found": high, "seldom": len(found) - high, "pairs": pairs, "sure": sure}


def of_opponent(text: str) -> Values:
    """Of ours, theirs, and both: `planted`, `further` and, of people whom nobody has seen, `flagged`, `low`, `high`."""
    found, values = {name: cells for name, *cells in rows(text)}, {}
    for place, who in enumerate(("ours", "theirs", "both")):
        values |= {f"{who}_{kind}": found[f"all {kind}"][place] for kind in ("planted", "further")}
        alarms = re.findall(r"([\d.]+)%", found["people whom nobody has seen"][place])
        values |= {f"{who}_{name}": value for name, value in zip(("flagged", "low", "high"), alarms, strict=True)}
    return values


def of_clean_sets(text: str) -> Values:
    found = {name: (number(share), *map(number, interval.split(" to "))) for name, share, interval in rows(text)}
    clean, low, high = found.pop("clean")
    partitions, copies = re.search(r"(\d+) partitions", text)[1], min(share for share, *_ in found.values())
    return {"clean": clean, "low": low, "high": high, "partitions": partitions, "copies": f"{copies:.0f}"}


def of_games(text: str) -> Values:
    """Of the sets that leak and of the clean ones: `games`, and how many failed; `passed` of those that leak."""
    found = {name.strip("*"): [int(number(cell)) for cell in cells[:4]] for name, *cells in rows(text)}
    (leaky, failed, _, passed), (clean, clean_failed, *_) = found["all that leak"], found["clean"]
    return {"leaky": leaky, "failed": failed, "passed": passed, "clean": clean, "clean_failed": clean_failed}


def of_games_of_trainings(text: str) -> Values:
    """Of the two flows that saw the fewest subjects: percent that were flagged, copies, and memorized by pixels."""
    (*_, memorized, flagged, copies, _, _), (*_, memorized_2, flagged_2, copies_2, _, _) = rows(text)
    cells = {"memorized": memorized, "flagged": flagged, "copies": copies}
    cells |= {"memorized_2": memorized_2, "flagged_2": flagged_2, "copies_2": copies_2}
    return {name: f"{number(cell):.0f}" for name, cell in cells.items()}


def of_strata(text: str) -> Values:
    shares = {one: [number(c) for r in rows(text) if r[0].startswith("1 x") == one for c in r[2:]] for one in (0, 1)}
    return {"low": min(shares[0]), "high": max(shares[0]), "one": min(shares[1])}


def of_conclusions(text: str) -> Values:
    _, with_them, survivors, *_ = next(row for row in rows(text) if row[0] == "2")
    return {"with": f"{number(with_them):.0f}", "survivors": f"{number(survivors):.0f}"}


def of_looks(text: str) -> Values:
    found = [(name, *map(number, cells)) for name, *cells in rows(text)]
    published = [row for row in found if row[0].startswith("brats")]
    equal = next(row for row in found if row[0].startswith("all equal"))
    hours, lost = [row[6] for row in published], [row[4] - row[5] for row in published]
    return {
        "mean": f"{sum(hours) / len(hours):.1f}", "low": f"{min(hours):.0f}", "high": f"{max(hours):.0f}",
        "lost": f"{sum(lost) / len(lost):.1f}", "most": f"{max(lost):.1f}", "false": max(row[3] for row in found),
        "equal": f"{equal[6]:.0f}", "equal_lost": f"{equal[4] - equal[5]:.0f}",
    }  # fmt: skip


def of_looks_of_trainings(text: str) -> Values:
    one, three, one_unruled, three_unruled, made = (row for row in rows(text) if " of 10, on " in row[0])
    added = max(number(row[5]) for row in rows(text) if row[0].isdecimal())
    alone = {"all": f"{number(made[1]):.0f}", "looks": f"{number(made[2]):.0f}"}
    unruled = {"one_unruled": one_unruled[2], "three_unruled": three_unruled[2]}
    return {"one": one[2], "three": three[2], "added": added, **unruled, **alone}


def of_power(text: str) -> Values:
    return {"most": re.search(r"largest distance is ([\d.]+) points", text)[1]}


def of_counts(text: str) -> Values:
    r3gan = next(row for row in rows(text) if row[0] == "r3gan")
    return {"r3gan": f"{number(r3gan[-1].removeprefix('step ')):.0f}"}


# ------------------------------------------------------------------------------------------------ versions
def of_snakemake(text: str) -> Values:
    return {"least": re.search(r'min_version\("([\d.]+)"\)', text)[1]}


def of_python(text: str) -> Values:
    least, above = re.search(r'requires-python = ">=(3\.\d+),<3\.(\d+)"', text).groups()
    return {"least": least, "most": f"3.{int(above) - 1}"}


# (where values are from, document, the sentence with their names in place of numbers)
FORECAST = "the forecast"
QUOTES: list[tuple[Callable, str, str, str]] = [
    (of_forecast, FORECAST, "README.md",
     "{jobs} jobs, about {hours} hours of an A100 by that model ({low} to {high}, not measured), {days} days on 8 of "
     "them, {disk} GB."),
    (of_forecast, FORECAST, "docs/forecast.md",
     "{stylegan2} TFLOP a training image of StyleGAN 2 at 5 x 256 x 256, regularisers included, {unet} of the U-Net"),
    (of_snakemake, "workflow/Snakefile", "README.md",
     "Snakemake {least} or newer](https://img.shields.io/badge/snakemake-%E2%89%A5{least}-"),
    (of_python, "pyproject.toml", "README.md",
     "[![Python {least} to {most}](https://img.shields.io/badge/python-{least}%20to%20{most}-blue.svg)]"),
    (of_python, "pyproject.toml", "README.md", "You need Linux (x86-64), Python {least} to {most}, `git` and `make`."),
    (of_disguises, "benchmarks/disguises.md", "docs/audit.md",
     "the audit found {mean} of the means of two patients and {others} of every other disguise. It flagged {flagged} % "
     "({low} to {high}) of the images of people"),
    (of_disguises, "benchmarks/disguises.md", "benchmarks/README.md",
     "{mean} of the mean of two, {others} of all others; {flagged} % ({low} to {high}): [disguises.md]"),
    (of_disguises_leaving_out, "benchmarks/disguises_leaving_out.md", "docs/audit.md",
     "every disguise in at least {found} of cases, over three partitions. It flagged {flagged} % ({low} to {high})"),
    (of_disguises_leaving_out, "benchmarks/disguises_leaving_out.md", "docs/audit.md",
     "the lowest recall was {worst}, for halves of two patients"),
    (of_disguises_leaving_out, "benchmarks/disguises_leaving_out.md", "benchmarks/README.md",
     "every disguise in at least {found}; {flagged} % flagged ({low} to {high}): [disguises_leaving_out.md]"),
    (of_further_disguises, "benchmarks/further_disguises.md", "docs/audit.md",
     "A benchmark tried {all} more disguises on the same phantoms "
     "([further_disguises.md](../benchmarks/further_disguises.md)). {found} were found in at least"),
    (of_further_disguises, "benchmarks/further_disguises.md", "docs/audit.md",
     "of {pairs} pairs of planted disguises, one on top of the other, {sure} are found in at least 0.95"),
    (of_further_disguises, "benchmarks/further_disguises.md", "benchmarks/README.md",
     "{found} of {all} found in at least 0.95, {seldom} seldom; of pairs of planted ones {sure} of {pairs}"),
    (of_opponent, "benchmarks/opponent.md", "docs/audit.md",
     "It found {theirs_planted} of the planted copies and {theirs_further} of the further ones; the audit found "
     "{ours_planted} and {ours_further}, and with the encoder as one more view {both_planted} and {both_further}. Of "
     "the images of held-out people, the audit flagged {ours_flagged} % ({ours_low} to {ours_high}) in "
     "this draw, the encoder {theirs_flagged} % ({theirs_low} to {theirs_high})."),
    (of_opponent, "benchmarks/opponent.md", "benchmarks/README.md",
     "theirs alone finds {theirs_planted} of the planted copies and {theirs_further} of the further ones, the audit "
     "{ours_planted} and {ours_further}, and both together {both_planted} and {both_further}: [opponent.md]"),
    (of_clean_sets, "benchmarks/clean_sets.md", "docs/audit.md",
     "In {partitions} random partitions of these phantoms, clean sets failed in {clean} % ({low} to {high})"),
    (of_clean_sets, "benchmarks/clean_sets.md", "benchmarks/README.md",
     "{clean} % ({low} to {high}) of {partitions} partitions; {copies} %: [clean_sets.md]"),
    (of_games, "benchmarks/privacy_games.md", "docs/audit.md",
     "Of {leaky} sets that leaked {failed} failed and {passed} passed; of {clean} clean sets {clean_failed} failed"),
    (of_games, "benchmarks/privacy_games.md", "benchmarks/README.md",
     "of {leaky} leaking sets {failed} failed and {passed} passed; of {clean} clean sets {clean_failed} failed"),
    (of_games_of_trainings, "benchmarks/games_of_trainings_60_kimg.md", "docs/audit.md",
     "failed: {flagged} and {flagged_2} % of their images were flagged, {copies} and {copies_2} % were copies"),
    (of_games_of_trainings, "benchmarks/games_of_trainings_60_kimg.md", "docs/audit.md",
     "called {memorized} and {memorized_2} % memorized"),
    (of_games_of_trainings, "benchmarks/games_of_trainings_60_kimg.md", "benchmarks/README.md",
     "fail, with {flagged} and {flagged_2} % flagged; by pixels {memorized} and {memorized_2} % are memorized"),
    (of_strata, "benchmarks/strata.md", "docs/evaluation.md",
     "contain the true value in {low} to {high} % of simulated studies with several trainings of a generator"),
    (of_strata, "benchmarks/strata.md", "benchmarks/README.md",
     "{low} to {high} % with several trainings of a generator; with one {one} % at worst"),
    (of_conclusions, "benchmarks/conclusions.md", "docs/evaluation.md",
     '"equivalent" in {with} % counting all trainings and in {survivors} % counting survivors alone'),
    (of_looks, "benchmarks/looks.md", "docs/evaluation.md",
     "took {mean} % of the GPU-hours of the whole grid on average ({low} to {high} % by network). Power fell by {lost} "
     "points on average and by {most} at most, and at most {false} % of studies made a false claim, whatever was true. "
     "If all five generators are exactly as good as real images, looks took {equal} % and lost {equal_lost} points"),
    (of_looks, "benchmarks/looks.md", "benchmarks/README.md",
     "{mean} %, {false} %, {most} points; where all are equal to real images {equal} % and {equal_lost} points"),
    (of_looks_of_trainings, "benchmarks/looks_of_trainings.md", "docs/evaluation.md",
     "if one training in ten collapses, on synthetic and on real images alike, {one_unruled} % of simulated studies "
     "made a false claim, and {three_unruled} % if three in ten do; with it {one} and {three} %"),
    (of_looks_of_trainings, "benchmarks/looks_of_trainings.md", "docs/evaluation.md",
     "{all} % of studies with all repeats and {looks} % with looks call some of five sets equivalent"),
    (of_looks_of_trainings, "benchmarks/looks_of_trainings.md", "benchmarks/README.md",
     "{added} % with trainings of generators"),
    (of_power, "benchmarks/power.md", "docs/evaluation.md",
     "Stated and simulated power differ by at most {most} points"),
    (of_counts, "benchmarks/counts.md", "docs/generators.md", "whose maps need {r3gan} GB by [count]"),
]  # fmt: skip
PRINTED = ("README.md", "docs/demo_answers.txt")  # by the demo (scripts/draw_tutorial.py)
TABLES = [("README.md", "benchmarks/demo.md"), ("docs/which-generator.md", "benchmarks/by_patients.md")]


# ------------------------------------------------------------------------------------------------ documents
def with_values(text: str, sentence: str, values: Values, name: str) -> str:
    """The text with these values in a sentence, whose lines may break anywhere. It has to stand there once.

    Raises ValueError in one line where it does not: somebody has written another sentence.
    """
    words = re.split(r"\{(\w+)\}", sentence)
    plain = [r"\s+".join(map(re.escape, re.split(" ", part))) for part in words[::2]]
    found = list(re.finditer(r"(\d[\d.,]*\d|\d)".join(plain), text))
    if len(found) != 1:
        raise ValueError(
            f"{name}: found {len(found)} times, expected once: {sentence!r} (QUOTES in {Path(__file__).name})"
        )
    for i, value in reversed(list(enumerate(words[1::2], start=1))):
        start, end = found[0].span(i)
        text = text[:start] + str(values[value]) + text[end:]
    return text


def with_rows(text: str, source: str) -> str:
    """The text with its rows of simulated studies, known by their first two cells, as the source has them."""
    known = {tuple(row[:2]): row for row in rows(source) if " x " in row[0]}

    def of_source(line: re.Match) -> str:
        return f"| {' | '.join(known[line[1], line[2]])} |"

    return re.sub(r"^\| (\d+ x \d+) \| ([\d.]+) \|.*$", of_source, text, flags=re.MULTILINE)


def with_table(text: str, source: str) -> str:
    """The text with the source's table in place of its own, which has the same head and stands there once."""
    table = re.compile(r"(^\|.*\n\|(?: -+ \|)+\n)(?:\|.*\n)+", re.MULTILINE)
    whole = table.search(source)
    own = [found for found in table.finditer(text) if found[1] == whole[1]]
    if len(own) != 1:
        raise ValueError(f"found {len(own)} tables with the head {whole[1].splitlines()[0]!r}, expected one")
    return text[: own[0].start()] + whole[0] + text[own[0].end() :]


def with_printed(text: str, source: str) -> str:
    """The text with what the demo prints of its generators in its one block of `text`."""
    answers = source.split("\n\nWhat the numbers are\n")[0]
    made, count = re.subn(r"(?<=^```text\n)[^`]*(?=^```$)", lambda _: f"{answers}\n", text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{PRINTED[0]}: found {count} blocks of text, expected one")
    return made


def wanted_texts(forecast: Mapping | None, root: Path = ROOT) -> dict[str, str]:
    """document -> its text with the numbers of today; `forecast`: None leaves those of the forecast as they are."""
    texts: dict[str, str] = {}
    for values_of, source, document, sentence in QUOTES:
        if source == FORECAST and forecast is None:
            continue
        told = forecast if source == FORECAST else (root / source).read_text()
        text = texts.get(document) or (root / document).read_text()
        texts[document] = with_values(text, sentence, values_of(told), document)
    evaluation, studies = "docs/evaluation.md", (root / "benchmarks/conclusions.md").read_text()
    texts[evaluation] = with_rows(texts[evaluation], studies)
    for document, source in TABLES:
        text = texts.get(document) or (root / document).read_text()
        texts[document] = with_table(text, (root / source).read_text())
    document, source = PRINTED
    texts[document] = with_printed(texts[document], (root / source).read_text())
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    parser.add_argument("--tables", action="store_true", help="all but those of the forecast")
    args = parser.parse_args()
    texts = wanted_texts(None if args.tables else full_study())
    stale = [name for name, text in texts.items() if (ROOT / name).read_text() != text]
    if args.check and stale:
        raise ValueError(f"{', '.join(stale)}: stale numbers; python scripts/write_numbers.py writes them anew")
    for name in stale:
        (ROOT / name).write_text(texts[name])


if __name__ == "__main__":
    command_line.run(main)
