"""The JSON schema of recipes: it takes what the reader takes, and marks what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rvos.errors import ConfigError
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds import table
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.schema import recipe_schema

PROJECT = Path(__file__).resolve().parents[3]
BUNDLED = [PROJECT / "pipeline.yaml", *sorted((PROJECT / "recipes").glob("*.yaml"))]
RECIPE = """\
dataset:   {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups:    {by: neighbours}
models:
  soc:  {runner: soc, checkpoint: soc.pth, options: {short_side: 360}}
  own:  {runner: command, command: [python, model.py], timeout: 60}
  seen: {import: png, path: masks}
engines:   {aot: {network: r50-aotl, checkpoint: aot.pth, scales: [0.8, 1.0]}}
stages:
  stage1:
    carried: {propagate: soc, engine: aot}
    final:   {fuse: [carried, own, seen], threshold: 2 of 6, weights: {own: 1/2}}
submission: {node: final}
"""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Of the schema that `rvos schema` prints."""
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_bundled_recipe_fits(path: Path, validator: Draft202012Validator) -> None:
    assert find_problems(validator, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("workspace:", "workspase:"),
        ("root: data", "rot: data"),
        ("by: neighbours", "by: neighbors"),
        ("checkpoint: soc.pth", "chekpoint: soc.pth"),
        ("short_side: 360", "short_sied: 360"),
        ("short_side: 360", "short_side: 0"),
        ("timeout: 60", "timeout: soon"),
        ("import: png", "import: gif"),
        ("runner: command", "runner: comand"),
        ("import: png", "imprt: png"),
        ("scales: [0.8, 1.0]", "scales: 0.8"),
        ("engine: aot}", "engin: aot}"),
        ("threshold: 2 of 6", "treshold: 2 of 6"),
        ("node: final", "nodes: final"),
    ],
    ids=lambda text: text,
)
def test_a_typo_is_refused_by_schema_and_reader_alike(
    old: str, new: str, validator: Draft202012Validator, tmp_path: Path
) -> None:
    text = RECIPE.replace(old, new) if old else RECIPE
    (tmp_path / "pipeline.yaml").write_text(text)
    try:
        read_recipe(tmp_path / "pipeline.yaml")
    except ConfigError:
        is_refused = True
    else:
        is_refused = False
    assert is_refused == bool(old)
    assert bool(find_problems(validator, text)) == is_refused


def test_the_schema_knows_every_kind_and_what_its_keys_mean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table.KINDS, "shift", "shifting_kind:ShiftNode")
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    nodes = schema["properties"]["stages"]["additionalProperties"]["additionalProperties"]
    assert set(nodes["properties"]) == {keyword for keyword, kind in table.list_kinds("stages").items() if kind}
    assert "shift" in nodes["properties"]
    engine = schema["properties"]["engines"]["additionalProperties"]["properties"]
    assert engine["flip"] == {
        "description": "add a mirrored pass to every scale.",
        "type": "boolean",
        "default": False,
    }


def test_it_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--out", str(tmp_path / "rvos.schema.json")]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "rvos.schema.json").read_text()) == recipe_schema()


def find_problems(validator: Draft202012Validator, text: str) -> list[Any]:
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]
