"""What is written from the blocks is what they say, and says when it is stale."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from understudy.config import generators, segmenters
from understudy.config.config_file import dates_as_text
from understudy.config.study import Study, complete, load_yaml
from understudy.config.writing import flow, schema

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ["config", "demo", "lean", "learn", "learn_segmenters"]


def run(folder, *arguments):
    command = [sys.executable, folder / "scripts/write_config.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_written_files_are_not_stale():
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_file_is_named_and_written_again(tmp_path):
    for name in ("scripts/write_config.py", "config/README.md", "config/config.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "workflow/schemas").mkdir(parents=True)
    (tmp_path / "config/config.yaml").write_text("datasets: {}\n")
    assert "config.schema.yaml: stale" in run(tmp_path, "--check").stderr
    assert run(tmp_path).returncode == 0 and run(tmp_path, "--check").returncode == 0
    assert (tmp_path / "config/config.yaml").read_text() == (ROOT / "config/config.yaml").read_text()


def test_the_full_config_shows_every_default():
    shown = load_yaml(ROOT / "config/config.yaml")
    bare = {"datasets": shown["datasets"], "generators": {name: {} for name in shown["generators"]}}
    filled = complete(bare, ROOT)
    assert {k: v for k, v in shown.items() if k != "datasets"} == {k: v for k, v in filled.items() if k != "datasets"}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_schema_lets_our_configs_pass(name):
    config = dates_as_text(load_yaml(ROOT / f"config/{name}.yaml"))
    found = schema()
    Draft202012Validator.check_schema(found)
    for one in (config, complete(config, ROOT)):
        assert not list(Draft202012Validator(found).iter_errors(one))


@pytest.mark.parametrize(
    ("section", "value"),
    [("seed", -1), ("images", {"sise": 4}), ("generators", {"stylegan2": {"microbatch": 4}}), ("segmenters", {})],
)
def test_the_schema_refuses_what_the_blocks_refuse(section, value):
    config = {"datasets": {"made": {"phantom": {}, "test_subjects": 5}}, section: value}
    assert list(Draft202012Validator(schema()).iter_errors(config))
    with pytest.raises(ValueError, match=f"config, {section}"):
        complete(config)


def blocks(kind):
    yield kind
    for field in kind.model_fields.values():
        if field.default_factory:
            yield from blocks(field.default_factory)


MODELS = [room.block(name) for room in (generators, segmenters) for name in (*room.NAMES,)]


@pytest.mark.parametrize("kind", [Study, *MODELS], ids=lambda kind: kind.__name__)
def test_every_key_says_what_it_means_and_its_default_can_be(kind):
    for block in blocks(kind):
        for name, field in block.model_fields.items():
            assert field.description, f"{block.__name__}.{name}"
        if all(not field.is_required() for field in block.model_fields.values()):
            given = {name: field.get_default(call_default_factory=True) for name, field in block.model_fields.items()}
            assert block.model_validate(given) == block()


@pytest.mark.parametrize("value", [1e-8, 3e-05, 0.0, 1.5, 10**7, "a: b", "null", None, [1, "x"], {"a": [0.1]}, True])
def test_a_value_is_read_as_it_was_written(value):
    assert yaml.safe_load(flow(value)) == value and "\n" not in flow(value)


def test_a_config_is_read_without_torch():
    code = "import sys; from understudy.config.study import complete, load_yaml; complete(load_yaml(sys.argv[1]))\n"
    code += "from understudy.config import writing; writing.schema()\n"
    code += "print(*{'torch', 'numpy', 'cv2', 'jsonschema'} & set(sys.modules))"
    path = ROOT / "config/demo.yaml"
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
