"""Training configurations: strict reading, overrides, and the files that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos.errors import ConfigError
from training.config import LoopSettings, read_config
from training.settings import override

CONFIGS = sorted((Path(__file__).parents[2] / "training/configs").glob("*.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "name: x\ntask: aot\noptimiser: {rate: 1e-4}\nloop: {steps: 3}\n"


def test_numbers_that_yaml_reads_as_text(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, GOOD)).optimiser.rate == 1e-4


def test_all_problems_are_in_one_message(tmp_path: Path) -> None:
    text = "name: x\ntask: aot\noptimiser: {rate: fast, clipp: 1}\nloop: {steps: 3.5}\n"
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    message = str(caught.value)
    assert "optimiser.clipp is unknown (is clip meant?)" in message
    assert "optimiser.rate is 'fast', expected a number" in message
    assert "loop.steps is 3.5, expected a whole number" in message


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimiser is missing; loop is missing"):
        read_config(written(tmp_path, "name: x\ntask: aot\n"))


@pytest.mark.parametrize("text", ["- 1", "name: [", "name: x\n  y: z"])
def test_files_that_are_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml: (holds no mapping|not valid YAML)"):
        read_config(written(tmp_path, text))


def test_overrides_reach_nested_settings(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD), ["loop.steps=7", "data.size=[3, 4]", "optimiser.clip=null"])
    assert config.loop.steps == 7
    assert config.data == {"size": [3, 4]}
    assert config.optimiser.clip is None


@pytest.mark.parametrize("assignment", ["loop.steps", "name.first=1", "loop.steps=[1"])
def test_overrides_that_cannot_be_used(assignment: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        override({"name": "x", "loop": {}}, [assignment])


def test_length_is_given_once() -> None:
    with pytest.raises(ConfigError, match="exactly one of epochs and steps"):
        LoopSettings(steps=3, epochs=1)
    with pytest.raises(ConfigError, match="exactly one of epochs and steps"):
        LoopSettings()


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_shipped_configurations_are_read(path: Path) -> None:
    config = read_config(path)
    assert config.name == path.stem.replace("_", "-")
