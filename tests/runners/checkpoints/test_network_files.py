"""Our own checkpoints carry the configuration that builds their network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from runners.checkpoints.loading import load_strict, read_checkpoint, read_network_config
from runners.checkpoints.saving import save_network, write_tensors
from rvos.errors import CheckpointError
from rvos.settings import load


@dataclasses.dataclass(frozen=True, slots=True)
class Inner:
    depths: tuple[int, ...] = (1, 2)
    heads: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class OtherInner:
    blocks: tuple[int, ...] = (3,)


@dataclasses.dataclass(frozen=True, slots=True)
class Outer:
    width: int = 4
    inner: Inner | OtherInner | None = None
    dropout: float = 0.1


@pytest.mark.parametrize(
    "config",
    [Outer(), Outer(8, Inner((2, 2, 6), 3)), Outer(2, OtherInner((1, 1)), 0.0)],
    ids=["defaults", "inner", "other"],
)
def test_a_configuration_survives_json(config: Outer) -> None:
    assert load(Outer, json.loads(json.dumps(dataclasses.asdict(config))), where="file") == config


def test_a_saved_network_loads_with_its_configuration(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    module.add_module("tied", module[0])
    path = tmp_path / "small.safetensors"
    save_network(path, "soc", Outer(inner=Inner()), module, torch.float16)
    file = read_checkpoint(path)
    found = read_network_config(file)
    assert found is not None
    assert found[0] == "soc"
    assert load(Outer, found[1], where="file") == Outer(inner=Inner())
    other = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    other.add_module("tied", other[0])
    load_strict(other, file)
    assert other[0].weight.dtype == torch.float32
    torch.testing.assert_close(other[0].weight, module[0].weight, atol=1e-3, rtol=1e-3)


def test_equal_networks_are_equal_files(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(3, dtype=torch.float16), "a": torch.arange(4.0)}
    texts = {f"entry {number}": "é" * number for number in range(9)}
    files = [tmp_path / f"{number}.safetensors" for number in range(5)]
    for number, path in enumerate(files):
        write_tensors(path, dict(tensors), dict(sorted(texts.items(), reverse=bool(number % 2))))
    assert len({path.read_bytes() for path in files}) == 1
    file = read_checkpoint(files[0])
    assert file.metadata == texts
    assert {name: value.tolist() for name, value in file.state.items()} == {"a": [0, 1, 2, 3], "b": [1, 1, 1]}


def test_a_foreign_file_has_no_configuration(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
    assert read_network_config(read_checkpoint(tmp_path / "foreign.safetensors")) is None


@pytest.mark.parametrize("text", ["{", "[1]"], ids=["damaged", "list"])
def test_a_damaged_configuration_is_refused(tmp_path: Path, text: str) -> None:
    metadata = {"rvos_network": "soc", "config": text}
    save_file({"weight": torch.ones(2)}, tmp_path / "own.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="copy it again"):
        read_network_config(read_checkpoint(tmp_path / "own.safetensors"))
