"""Every command in the documents is run, or what would run it takes it.

What happens to a command follows from its first word (`Reader.KINDS`): Snakemake makes a dry run, a script's own parser
reads its arguments, make lists its target's steps, and what belongs to the system is looked at for files of the project
that are not there. A first word that is not known fails: whoever writes such a command says here how it is tested.
"""

import contextlib
import io
import re
import runpy
import subprocess
from pathlib import Path

import pytest
from documented import Command, commands
from made import make_stack
from project import PARTS, ROOT, Project
from raw_data import Raw
from scripts_here import called_here, program, refused_arguments, run_here
from snakemake.cli import parse_args

from understudy.config.study import complete, load_yaml
from understudy.console.commands import main as understudy
from understudy.release.facts import ALWAYS
from understudy.stack.channel_folders import export_folders

DOCUMENTS = runpy.run_path(str(ROOT / "scripts/check_links.py"))["documents"]
FOLDERS = {*(part for part in PARTS if (ROOT / part).is_dir()), "benchmarks", "docs", "tests"}
CONFIG = "config/mine.yaml"  # what documents call the user's own
STUDY = """
datasets:
  mine: {phantom: {subjects: 20, size: 32}, test_subjects: 2}
  theirs: {phantom: {subjects: 6, size: 32, seed: 2}, test_subjects: 2}
images: {size: 32}
generators:
  {progressive_gan: {}, stylegan1: {}, stylegan2: {}, stylegan3: {}, r3gan: {}, diffusion: {}, rectified_flow: {}}
segmenters: {unet: {}}
experiments:
  {training_sets: [real, stylegan2], augmentations: [augmented], repeats: 3, generator_seeds: 3, stopping: sequential,
   looks: [2], keep_weights: true,
   proportions: {generators: [stylegan2]}, few_subjects: {generators: [stylegan2], subjects: [5]},
   ensembles: {generators: [stylegan2], members: [2]}, snapshots: {generators: [stylegan2]},
   subset: {generators: [stylegan2]}, site_held_out: {generators: [stylegan2], datasets: [theirs]}}
release:
  {generators: [stylegan2], title: Made images, licence: CC0-1.0, creators: [{name: Ada Example}], date: 2026-01-31}
reader_study: {generators: [stylegan2], images: 4, repeats: 2}
"""


class Reader:
    """Reads commands in a copy of the project, whose default config and config/mine.yaml are a small study with every
    target. Whatever is said to be below /data is a folder of four subjects."""

    RUN = ("check_config", "convert_stack", "show_status")  # scripts of a moment; of the others the parser alone
    COPIES = ("cp", "mkdir")  # run first, as other commands use what they make
    SYSTEM = (
        "apptainer", "cd", "conda", "curl", "docker", "export", "git", "mlflow", "pytest", "ruff", "sbatch", "scancel",
        "sha256sum", "snakefmt", "source", "srun", "ssh", "tensorboard", "tmux", "uv",
    )  # fmt: skip

    def __init__(self, folder: Path):
        (folder / "understudy").mkdir()
        self.project, self.data, self.begun = Project(folder / "understudy"), folder / "data", folder / "begun"
        for name in (CONFIG, "config/mine_quick.yaml", "config/config.yaml", "study.yaml"):
            self.project.write(name, STUDY)
        raw = Raw(self.data)
        for seed in range(4):
            for channel, voxels in raw.arrays(seed).items():
                raw.save(raw.path(f"BraTS2021_0000{seed}", channel), voxels)
        stack = make_stack(self.project.folder / "results/phantom/stacks/train.zip", ["a"], 2)
        published = dict(zip(stack.channels, ("T1", "T1CE", "T2", "FLAIR", "Seg"), strict=True))
        export_folders(stack, self.project.folder / "folders", published)
        for one in load_yaml(self.project.folder / "config/challenge.yaml")["imports"].values():
            make_stack(self.project.folder / one["stack"], ["a"], 2)
        self.kinds = {"snakemake": self.plan, "python": self.python, "understudy": self.understudy, "make": self.make}
        self.kinds |= dict.fromkeys(self.COPIES, self.copy) | dict.fromkeys(self.SYSTEM, self.system)

    def problems(self, found: list[Command]) -> list[str]:
        """What is wrong, a line each; a command that stands in several places is looked at once."""
        once: dict[tuple[str, ...], Command] = {}
        for command in sorted(found, key=lambda command: command.in_sentence):
            once.setdefault(command.words, command)
        self.dry_runs: dict[tuple[str, ...], dict[Command, list[str]]] = {}
        said = {}
        for command in sorted(once.values(), key=lambda command: command.words[0] not in self.COPIES):
            said[command] = self.kinds.get(command.words[0], self.unknown)(command)
        for options, targets in self.dry_runs.items():
            said |= self.dry_run(options, targets)
        return [f"{command}: {complaint}" for command, complaint in said.items() if complaint]

    def unknown(self, command: Command) -> str:
        return f"no test runs such a command: {Path(__file__).name} must say how"

    def here(self, word: str) -> str:
        """With what stands for folders of the user and for words in capitals."""
        word = re.sub(r"^~/understudy(?=/|$)", str(self.project.folder), word)
        word = re.sub(r"^/data(/\w+)?(?=/|$)", str(self.data), word)
        return {"CONFIG": CONFIG, "profiles/NAME": "profiles/local", "FOLDER": str(self.data)}.get(word, word)

    def plan(self, command: Command) -> str:
        """Snakemake's parser takes the words, with the profile. One dry run, of seconds, is for all commands that have
        the same options. A report needs a finished study, and environments a network: of these the parser alone."""
        words, err = [self.here(word) for word in command.words[1:]], io.StringIO()
        try:
            with contextlib.chdir(self.project.folder), contextlib.redirect_stderr(err):
                _, asked = parse_args(words)
        except SystemExit:
            return err.getvalue().strip().splitlines()[-1]
        if not (asked.report or asked.conda_create_envs_only):
            left_out = {"-n", "--dry-run", "-p", "-q", *asked.targets}
            options = tuple(word for word in words if word not in left_out)
            self.dry_runs.setdefault(options, {})[command] = asked.targets or ["all"]
        return ""

    def dry_run(self, options: tuple[str, ...], targets: dict[Command, list[str]]) -> dict[Command, str]:
        every = dict.fromkeys(target for asked in targets.values() for target in asked)
        done = self.project.run(*every, "-n", *options)
        if not done.returncode:
            return {}
        said = " ".join(line for line in (done.stdout + done.stderr).splitlines()[-4:] if line) or "it failed"
        named = {command for command, asked in targets.items() if set(asked) & set(re.findall(r"[\w./-]+", said))}
        return dict.fromkeys(named or targets, said)

    def python(self, command: Command) -> str:
        """A script runs, or its own parser takes the words; the program and files of the project are there. One without
        a folder is what a release brings along, and its tests run it."""
        name, *words = map(self.here, command.words[1:])
        if "/" not in name and name in ALWAYS:
            return f"{words[0]}: it takes no arguments" if words else ""
        path = ROOT / name
        if path.suffix != ".py" or not path.is_file():
            return f"{name}: no such program"
        if missing := self.system(command):
            return missing
        if path.parent.name != "scripts" or path.stem not in self.RUN:
            return refused_arguments(program(path), str(path), *words, partly=command.in_sentence)
        with contextlib.chdir(self.project.folder):
            done = run_here(path.stem, *words)
        return done.stderr.strip() if done.returncode else ""

    def understudy(self, command: Command) -> str:
        """`init` looks at the folder and writes a config that is valid; in a sentence it may go without a folder.
        `status` runs. Of the others the parser alone: tests/console and tests/begin run them."""
        words = [self.here(word) for word in command.words[1:]]
        if refused := refused_arguments(understudy, "understudy", *words, partly=command.in_sentence):
            return refused
        if words[0] == "status":
            with contextlib.chdir(self.project.folder):
                done = called_here(understudy, "understudy", *words)
            return done.stderr.strip() if done.returncode else ""
        if words[0] != "init" or str(self.data) not in words:
            return ""
        folder = self.begun / str(len(list(self.begun.glob("*"))))
        folder.joinpath("config").mkdir(parents=True)
        with contextlib.chdir(folder):
            done = called_here(understudy, "understudy", *words)
            for path in folder.rglob("*.yaml"):
                complete(load_yaml(path))
        return done.stderr.strip() if done.returncode else ""

    def make(self, command: Command) -> str:
        done = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else ""

    def copy(self, command: Command) -> str:
        """Runs in the copy, but replaces nothing there."""
        if missing := self.system(command):
            return missing
        if (self.project.folder / command.words[-1]).is_file():
            return ""
        done = subprocess.run(command.words, cwd=self.project.folder, capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else ""

    def system(self, command: Command) -> str:
        """Names files of the project that are there, or that a copy has made; the last word of a copy is to be made."""
        words = command.words[1:-1] if command.words[0] in self.COPIES else command.words[1:]
        named = [word.rpartition("=")[2] for word in words]
        inside = [name for name in named if name.split("/")[0] in FOLDERS and "/" in name]
        missing = [name for name in inside if not any((root / name).exists() for root in (self.project.folder, ROOT))]
        return f"{', '.join(missing)}: no such file in the project" if missing else ""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("commands"))


def shown(root: Path, reader: Reader) -> list[Command]:
    return [command for document in DOCUMENTS(root) for command in commands(document, root, set(reader.kinds))]


def test_every_command_runs(reader):
    found = shown(ROOT, reader)
    assert {command.words[0] for command in found} >= {"snakemake", "python", "understudy", "make"}
    problems = reader.problems(found)
    assert not problems, "\n".join(problems)


WRONG = {
    "frobnicate --all  # of no kind": "no test runs such a command",
    "snakemake --profiel profiles/local": "unrecognized arguments: --profiel",
    "snakemake gone": "gone",
    "python scripts/gone.py": "no such program",
    "python scripts/forecast.py --config config/demo.yaml --gpuz 3": "unrecognized arguments: --gpuz 3",
    "python scripts/forecast.py --config config/gone.yaml": "config/gone.yaml: no such file in the project",
    "python scripts/find_nearest.py": "the following arguments are required",
    "make setup && make gone": "No rule to make target 'gone'",
    "cp -r profiles/gone profiles/others": "profiles/gone: no such file",
    "understudy innit /data/mine": "invalid choice: 'innit'",
    "understudy audit theirs.zip": "the following arguments are required: train",
    "understudy audit theirs.zip train.zip --tset others.zip": "unrecognized arguments: --tset",
    "understudy status --config gone.yaml": "gone.yaml: found No such file",
    "srun --nodes=2 torchrun scripts/gone.py": "scripts/gone.py: no such file",
}


def test_a_wrong_command_is_told_where_it_stands(reader, tmp_path):
    (tmp_path / "docs").mkdir()
    right = "make setup &&\\\n  make test | git apply"
    text = f"```sh\n{right}\n```\n\n```\nfrobnicate: what a program says\n```\n\n```sh\n" + "\n".join(WRONG)
    text += (
        "\n```\n\nWith `understudy init` and `make`, or `python\nscripts/find_nearest.py --gone`. `make gone` it says."
    )
    (tmp_path / "docs/a.md").write_text(text)
    told = dict(enumerate(WRONG.values(), start=11)) | {13 + len(WRONG): "unrecognized arguments: --gone"}
    problems = {int(line.split(":")[1]): line for line in reader.problems(shown(tmp_path, reader))}
    assert problems.keys() == told.keys()
    assert [line for line in told if told[line] not in problems[line]] == []
