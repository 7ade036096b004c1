"""`rvos checkpoint`: what a file is, and every key accounted for."""

from __future__ import annotations

import argparse
import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from referring_helpers import small_network

from runners.checkpoints.saving import save_network
from rvos_fusion.commands.cli import main
from rvos_fusion.parity.condensed import read_condensed


def official(folder: Path, kind: str, **extra: object) -> Path:
    path = folder / f"{kind}.pth"
    state = dict(small_network(kind).state_dict()) | {
        "text_encoder.embeddings.position_ids": torch.arange(26)[None],
    }
    torch.save({"model": state} | extra, path)
    return path


def test_our_own_file_names_its_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network("mutr")
    path = tmp_path / "network.safetensors"
    save_network(path, "mutr", network.config, network, torch.float16)
    assert main(["checkpoint", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "mutr, backbone resnet_tiny, own layout; loads whole" in printed
    assert "0 missing, 0 unexpected" in printed


def test_envelope_and_training_arguments_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.Namespace(backbone="resnet101", num_queries=5)
    path = official(tmp_path, "referformer", args=arguments, epoch=3)
    main(["checkpoint", str(path), "--json"])
    (found,) = json.loads(capsys.readouterr().out).values()
    assert (found["network"], found["envelope"]) == ("referformer", "model")
    assert found["hyper_parameters"] == {"backbone": "resnet101", "num_queries": 5}
    assert found["contradictions"] == ["the training arguments say backbone resnet101, the shapes say resnet_tiny"]
    assert found["keys"]["ignored"] == ["text_encoder.embeddings.position_ids"]
    assert found["keys"]["unexpected"] == []


def test_an_official_file_of_sam2_is_told_with_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = read_condensed(Path(__file__).resolve().parents[2] / "parity_cases/sam2/tiny21_occlusion.npz")
    case.write_checkpoint(tmp_path / "sam2.1_hiera_tiny.pt")
    assert main(["checkpoint", str(tmp_path / "sam2.1_hiera_tiny.pt"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert (found["network"], found["layout"], found["loads"]) == ("sam2.1-hiera-tiny", "official", True)
    keys = found["keys"]
    assert len(keys["matched"]) + len(keys["renamed"]) == found["entries"] == 471
    assert keys["renamed"]["sam_prompt_encoder.point_embeddings.2.weight"] == "prompt_encoder.point_embed.weight"


def test_missing_and_unexpected_keys_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network("mutr")
    path = tmp_path / "network.safetensors"
    renamed = torch.nn.ModuleDict(dict(network.named_children()))
    renamed["extra"] = torch.nn.Linear(2, 2)
    del renamed["controller"]
    save_network(path, "mutr", network.config, renamed)
    assert main(["checkpoint", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "does NOT load" in printed
    assert re.search(r"missing +controller\.layers\.0\.weight$", printed, re.MULTILINE)
    assert re.search(r"unexpected +extra\.weight$", printed, re.MULTILINE)


def test_values_that_are_not_finite_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network("referformer")
    with torch.no_grad():
        network.query_embed.weight[0, 0] = torch.nan
    path = tmp_path / "network.safetensors"
    save_network(path, "referformer", network.config, network)
    assert main(["checkpoint", str(path)]) == 1
    assert re.search(r"NaN or infinity in +query_embed\.weight\n", capsys.readouterr().out)


def test_an_unknown_file_shows_how_its_keys_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"head.weight": torch.ones(2), "head.bias": torch.ones(2)}}, path)
    assert main(["checkpoint", str(path)]) == 1
    assert "unknown network" in capsys.readouterr().out


class Unsafe:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "unsafe.pth"
    path.write_bytes(pickle.dumps({"model": Unsafe()}))
    assert main(["checkpoint", str(path)]) == 2
    captured = capsys.readouterr()
    assert "executed" not in captured.out
    assert "unsafe.pth" in captured.err


def test_a_missing_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", str(tmp_path / "none.pth")]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
