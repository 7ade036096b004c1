"""Weights of a folder, in one file or in parts: read whole, or the part that is wrong is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deaot_toolkit.errors import CheckpointError
from deaot_toolkit.hub_folders import check_hub_folder, read_hub_weights

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_file({"module.a.weight": torch.ones(1), "module.b.weight": torch.ones(2)}, tmp_path / FIRST)
    save_file({"module.model.weight": torch.ones(3)}, tmp_path / SECOND)
    write_index(tmp_path, {"module.a.weight": FIRST, "module.b.weight": FIRST, "module.model.weight": SECOND})
    return tmp_path


def write_index(folder: Path, places: object) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": places}))


@pytest.mark.parametrize("outline", [False, True])
def test_parts_are_read_as_one_and_wrappers_are_those_of_the_whole(folder: Path, *, outline: bool) -> None:
    state = read_hub_weights(folder, outline=outline)
    # A name of the second part alone would lose `model.` too.
    assert {name: len(value) for name, value in state.items()} == {"a.weight": 1, "b.weight": 2, "model.weight": 3}
    assert all(value.is_meta == outline for value in state.values())


def test_one_file_goes_before_parts(folder: Path) -> None:
    save_file({"c": torch.ones(1)}, folder / "model.safetensors")
    assert list(read_hub_weights(folder)) == ["c"]


def test_a_missing_or_damaged_part_is_named(folder: Path) -> None:
    (folder / SECOND).write_bytes(b"\x10" * 40)
    with pytest.raises(CheckpointError, match=f"{SECOND}: not a whole safetensors file"):
        read_hub_weights(folder)
    (folder / SECOND).unlink()
    with pytest.raises(CheckpointError, match=f"{SECOND}: no such checkpoint"):
        read_hub_weights(folder)
    (folder / INDEX).unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such checkpoint"):
        read_hub_weights(folder)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_torch_file_that_is_named_safetensors_is_called_one(tmp_path: Path, *, is_old: bool) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=not is_old)
    with pytest.raises(CheckpointError, match=r"safetensors: a torch file .* with safetensors\.torch\.save_file"):
        read_hub_weights(tmp_path)


@pytest.mark.parametrize("names", [[], ["module.a.weight"], ["module.a.weight", "module.b.weight", "more"]])
def test_a_part_with_other_weights_than_its_index_says_is_named(folder: Path, names: list[str]) -> None:
    write_index(folder, dict.fromkeys(names, FIRST) | {"module.model.weight": SECOND} | ({} if names else {"x": FIRST}))
    with pytest.raises(CheckpointError, match=f"{FIRST}: other weights than {INDEX} says"):
        read_hub_weights(folder)


@pytest.mark.parametrize("places", [{}, [], None, {"a": "../other.safetensors"}, {"a": "/etc/passwd"}, {"a": 3}, 7])
def test_an_index_names_files_beside_it(folder: Path, places: object) -> None:
    write_index(folder, places)
    with pytest.raises(CheckpointError, match=f"{INDEX}: no index of parts"):
        read_hub_weights(folder)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 100_000, b"{}"])
def test_damaged_json_is_one_line(folder: Path, content: bytes) -> None:
    for name in (INDEX, "config.json"):
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{INDEX}: no index of parts"):
        read_hub_weights(folder)
    with pytest.raises(CheckpointError, match=r"no folder of the hub \(.*\); give one with config\.json"):
        check_hub_folder(folder, model_type="x", network="X", file="x.pt")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(CheckpointError, match="FileNotFoundError in config"):
        check_hub_folder(tmp_path, model_type="x", network="X", file="x.pt")
