"""Checkpoints load whole or not at all, and never run code."""

from __future__ import annotations

import argparse
import os
from itertools import permutations
from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from deaot_toolkit.wrapped import unwrap_names
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.sizes import find_config
from runners.checkpoints.loading import load_strict, read_checkpoint
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.network import Uninext
from rvos.errors import CheckpointError
from rvos.files.atomic import hash_file


class Malicious:
    """Unpickling it would call `os.mkdir`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def linear_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("envelope", ["model", "model_state_dict", "state_dict", ""])
def test_every_official_envelope_is_unwrapped(tmp_path: Path, envelope: str, zipped: bool) -> None:
    path = tmp_path / "network.pth"
    content = {envelope: linear_state(), "args": argparse.Namespace(backbone="resnet50"), "best": np.float64(0.5)}
    torch.save(content if envelope else linear_state(), path, _use_new_zipfile_serialization=zipped)
    file = read_checkpoint(path)
    assert list(file.state) == ["weight", "bias"]
    assert file.envelope == envelope
    assert file.hyper_parameters == ({"backbone": "resnet50"} if envelope else {})


class Wrapped(nn.Module):
    """What DataParallel and its kin do to names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


WRAPPERS = {"compiled": torch.compile, "averaged": AveragedModel, "parallel": Wrapped}


@pytest.mark.parametrize("inner", [(), ("compiled",), ("parallel", "compiled")], ids="+".join)
@pytest.mark.parametrize(
    "order", [order for length in range(4) for order in permutations(WRAPPERS, length)], ids="+".join
)
def test_wrappers_are_stripped_in_every_order_and_depth(
    tmp_path: Path, order: tuple[str, ...], inner: tuple[str, ...]
) -> None:
    network: nn.Module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    plain = network.state_dict()
    for wrapper in inner:
        network[0] = WRAPPERS[wrapper](network[0])  # type: ignore[index, operator]
    for wrapper in order:
        network = WRAPPERS[wrapper](network)  # type: ignore[operator]
    path = tmp_path / "network.pth"
    torch.save({"model": network.state_dict()}, path)
    found = read_checkpoint(path).state
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in plain.items()
    }


@pytest.mark.parametrize("prefix", ["model.", "net.", "network.", "_forward_module.", "_forward_module.model.", "ema."])
@pytest.mark.parametrize("envelope", ["state_dict", "module", "model_state_dict"])
def test_what_trainers_put_around_the_network_is_taken_away(tmp_path: Path, prefix: str, envelope: str) -> None:
    path = tmp_path / "network.pth"
    state = {f"{prefix}a.weight": torch.ones(1), f"{prefix}b.weight": torch.ones(1)}
    torch.save({envelope: state, "epoch": 3}, path)
    file = read_checkpoint(path)
    assert (list(file.state), file.envelope) == (["a.weight", "b.weight"], envelope)


def test_a_part_of_the_name_of_a_network_stays(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save({"a.model.weight": torch.ones(1), "model.weight": torch.ones(1)}, path)
    assert list(read_checkpoint(path).state) == ["a.model.weight", "model.weight"]


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "pytorch_model-2-of-3.bin"])
def test_one_part_of_several_is_named(tmp_path: Path, name: str) -> None:
    save_file(linear_state(), tmp_path / name)
    with pytest.raises(CheckpointError, match=r"part [12] of [23] of a checkpoint"):
        read_checkpoint(tmp_path / name)


def test_the_only_part_is_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "model-00001-of-00001.safetensors"
    save_file(linear_state(), path)
    assert read_checkpoint(path).state


def test_a_word_that_not_all_names_share_is_no_wrapper(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save({"module.weight": torch.ones(1), "bias": torch.ones(1), "module": torch.ones(1)}, path)
    assert list(read_checkpoint(path).state) == ["module.weight", "bias", "module"]


def test_a_wrapper_that_holds_only_a_part_stays(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save({"a.module._orig_mod.w": torch.ones(1), "a.module.w": torch.ones(1)}, path)
    assert list(read_checkpoint(path).state) == ["a._orig_mod.w", "a.w"]


def test_no_network_has_a_part_with_the_name_of_a_wrapper() -> None:
    with torch.device("meta"):
        networks = (
            *(SOC(SOCConfig()), ReferFormer(ReferFormerConfig()), Mutr(MutrConfig()), Uninext(UninextConfig())),
            *(deaot_toolkit.build(name) for name in ("aott", "r50-deaotl")),
            Sam2Network(find_config("sam2.1-hiera-tiny")).model,
        )
    for network in networks:
        names = list(network.state_dict())
        assert unwrap_names(names) == dict(zip(names, names, strict=True))


def test_a_file_that_wants_to_execute_code_is_refused(tmp_path: Path) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "made"
    torch.save({"model": linear_state(), "extra": Malicious(target)}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pth: refused.*mkdir"):
        read_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"], ids=["empty", "text", "zip"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_missing_file_and_foreign_content_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "absent.pth")
    torch.save({"epoch": 3}, tmp_path / "log.pth")
    with pytest.raises(CheckpointError, match="no state dict"):
        read_checkpoint(tmp_path / "log.pth")


def test_nothing_loads_half(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2, 3), "scale": torch.ones(2)}, path)
    network = nn.Linear(3, 2)
    before = network.weight.detach().clone()
    with pytest.raises(CheckpointError, match=r"1 missing: bias; 1 unexpected: scale"):
        load_strict(network, read_checkpoint(path))
    assert torch.equal(network.weight, before)


def test_other_shapes_and_not_finite_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_file({"weight": torch.ones(3, 3), "bias": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"weight \(3, 3\), expected \(2, 3\)"):
        load_strict(nn.Linear(3, 2), read_checkpoint(path))
    save_file({"weight": torch.full((2, 3), float("nan")), "bias": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="NaN or infinity in weight"):
        load_strict(nn.Linear(3, 2), read_checkpoint(path))


def test_renamed_and_ignored_keys_are_accounted_for(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    state = linear_state()
    save_file({"old.weight": state["weight"], "bias": state["bias"], "total_ops": torch.zeros(1)}, path)
    network = nn.Linear(3, 2)
    report = load_strict(network, read_checkpoint(path), renames=[(r"^old\.", "")], ignored=[r"total_ops$"])
    assert report.matched == ("bias",)
    assert report.renamed == {"old.weight": "weight"}
    assert report.ignored == ("total_ops",)
    assert report.is_complete
    assert torch.equal(network.weight, state["weight"])


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert hash_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
