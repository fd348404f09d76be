"""Checks that no rule hands a user's text to the shell unquoted: each placeholder of a command has `:q`. Runs
Snakemake's own linter as well, but for two of its opinions.

Snakemake itself reads the rules, so those that a loop makes are among them; a config decides which there are.
"""

import argparse
import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.linting.rules import RuleLinter
from snakemake.linting.snakefiles import SnakefileLinter
from snakemake.parser import parse
from snakemake.rules import Rule
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings
from snakemake.workflow import Workflow

from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = re.compile(r'python "\$UNDERSTUDY/scripts/\w+\.py"')  # how a command begins: a script beside the rules

# here a helper stands above the rule that it serves, and what follows a + is the end of a command, and no path
WAIVED = ("Mixed rules and functions in same snakefile", "Path composition with '+'")


def lints(workflow: Workflow) -> Iterator[str]:
    """As `snakemake --lint`."""
    for linter in (SnakefileLinter(workflow, workflow.included), RuleLinter(workflow, workflow.rules)):
        for item in linter.items:
            found = (lint for look in linter.lints() for lint in look(linter.read_item(item)))
            yield from (f"{linter.item_desc_plain(item)}: {x.title}" for x in found if not x.title.startswith(WAIVED))


def offences_of_rule(rule: Rule) -> Iterator[str]:
    """Of its command; a rule without one must not do anything."""
    if rule.shellcmd is None:
        if not rule.norun:
            yield "found no `shell`, expected a command, or inputs alone: nobody checks Python"
        return
    pieces = list(string.Formatter().parse(PROGRAM.sub("", rule.shellcmd, count=1)))
    for _, name, spec, _ in pieces:
        if name is not None and spec != "q":
            yield f"found {{{name}{':' * bool(spec)}{spec}}}, expected {{{name}:q}}"
    if marks := sorted(set("".join(text for text, *_ in pieces)) & set("'\"`")):
        yield f"found {' '.join(marks)} in its command, expected no quotation mark: a placeholder within is unquoted"


def offences_of_file(tree: ast.Module, names: dict[int, str], texts: dict[str, ast.expr]) -> Iterator[str]:
    """Commands that are built, which may have a path in them already, and calls of shell() beside rules.

    Args:
        tree: the Python that Snakemake makes of a file. names: of its rules, by the line that it notes for them.
        texts: what is assigned to names, in all files.
    """
    bodies = set()  # of rules with a command: Snakemake calls shell() in them
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        calls = {c.func.attr: c for c in function.decorator_list if isinstance(c, ast.Call)}
        if "shellcmd" not in calls:
            continue
        bodies |= {id(node) for node in ast.walk(function)}
        (command,) = calls["shellcmd"].args
        if not is_plain(command, texts):
            (line,) = (k.value.value for k in calls["rule"].keywords if k.arg == "lineno")
            yield f"rule {names[line]}: found a command that is built, expected plain text: paths come as placeholders"
    for node in ast.walk(tree):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if called == "shell" and id(node) not in bodies:
            yield f"found {ast.unparse(node)}, expected a rule with `shell`"


def is_plain(text: ast.expr, texts: dict[str, ast.expr]) -> bool:
    """Whether it is text as it stands, or several such, one behind the other; some have names."""
    if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
        return is_plain(text.left, texts) and is_plain(text.right, texts)
    if isinstance(text, ast.Name):
        return text.id in texts and is_plain(texts[text.id], {k: v for k, v in texts.items() if k != text.id})
    return isinstance(text, ast.Constant)


def offences(workflow: Workflow) -> Iterator[str]:
    names, trees, texts = {}, {}, {}
    for rule in workflow.rules:
        names.setdefault(str(rule.snakefile), {})[rule.lineno] = rule.name
        yield from (f"rule {rule.name}: {text}" for text in offences_of_rule(rule))
    for file in workflow.included:
        code, _ = parse(file, workflow, {})
        tree = trees[file.get_path_or_uri(secret_free=True)] = ast.parse(code)
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.Assign)):
            texts |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    for path, tree in trees.items():
        yield from (f"{path}: {text}" for text in offences_of_file(tree, names.get(path, {}), texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*", type=Path, help="to read the rules with, one after the other")
    parser.add_argument("--snakefile", type=Path, default=ROOT / "Snakefile", help="default %(default)s")
    a = parser.parse_args()
    found, seen = {}, set()
    for config in a.configs or [None]:
        files = [config.resolve()] if config else []
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            settings = {"config_settings": ConfigSettings(configfiles=files), "workdir": a.snakefile.resolve().parent}
            workflow = api.workflow(ResourceSettings(), snakefile=a.snakefile.resolve(), **settings)._workflow
            found |= dict.fromkeys(offences(workflow))
            if a.snakefile == parser.get_default("snakefile"):
                found |= dict.fromkeys(lints(workflow))
            seen |= {rule.name for rule in workflow.rules if rule.shellcmd}
    if found:
        raise ValueError("\n".join(found))
    print(f"{len(seen)} commands: every placeholder is quoted")


if __name__ == "__main__":
    command_line.run(main)
