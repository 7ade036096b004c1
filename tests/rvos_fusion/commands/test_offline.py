"""Offline: every command does its work where no address but this machine's own is reached; one fetches, and says so."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import torch
from referring_helpers import small_network
from small_data import write_split
from small_videos import TRAINING, write_small_videos

from runners.checkpoints.saving import save_network
from rvos_fusion.commands.cli import COMMANDS, main

PROJECT = Path(__file__).resolve().parents[3]
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: none}
models:
  a: {import: png, path: members/a}
  model: {runner: referformer, checkpoint: model.safetensors, options: {short_side: 32}}
  again: {runner: referformer, checkpoint: model.safetensors, options: {short_side: 40}}
stages:
  one:
    final: {fuse: [a, model, again], threshold: 1}
submission: {node: final}
"""
FITTING = RECIPE.replace("[a, model, again], threshold: 1", "[model, again], method: best, fitted: fitted.json")
NETWORKS = RECIPE.replace("[a, model, again]", "[model, again]").replace("  a: {import: png, path: members/a}\n", "")
STEPS = (
    "synthesize --seed 1 --videos 1 --out drawn",
    "import members/a --root data --split valid",
    "schema",
    "doctor r.yaml --deep --load",
    "plan r.yaml",
    "nouns r.yaml",
    "run r.yaml --quiet",
    "fit fitting.yaml final --force",
    "sweep r.yaml final",
    "table r.yaml",
    "audit r.yaml final",
    "evaluate data members/a --format ref-youtube-vos --split valid",
    "report r.yaml",
    "export final --workspace runs --out masks",
    "pseudo-labels r.yaml final --out labels",
    "submit r.yaml",
    "check-submission runs/submission.zip --recipe r.yaml",
    "correct r.yaml final video0 0 --same-as 1",
    "clean r.yaml",
    "licences r.yaml",
    "checkpoint model.safetensors",
    "segment clip words --recipe networks.yaml --quiet",
    "train training.yaml --quiet",
    f"parity {PROJECT / 'tests/parity_cases/common/text_encoder.npz'}",
    "new-runner mine --out own",
    "demo --out demo --only-copy",
)

asked: list[str] | None = None
"""Addresses that were asked for while nothing is reached; None where the network is as it is."""


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse every name and address outside; Python calls this wherever a socket is used, however it was imported."""
    if asked is None or event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = address[0] if isinstance(address, tuple) else address
    if event.startswith("socket.get") or isinstance(address, tuple):
        try:
            inside = host is None or str(host) == "localhost" or ip_address(str(host)).is_loopback
        except ValueError:
            inside = False
        if not inside:
            asked.append(str(host))
            raise OSError(errno.ENETUNREACH, "Network is unreachable")


sys.addaudithook(refuse)


@pytest.fixture
def outside() -> Iterator[list[str]]:
    global asked
    asked = []
    yield asked
    asked = None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    write_small_videos(tmp_path / "videos")
    network = small_network("referformer")
    save_network(tmp_path / "model.safetensors", "referformer", network.config, network, torch.float16)
    (tmp_path / "r.yaml").write_text(RECIPE)
    (tmp_path / "fitting.yaml").write_text(FITTING)
    (tmp_path / "networks.yaml").write_text(NETWORKS)
    (tmp_path / "training.yaml").write_text(TRAINING)
    (tmp_path / "clip").symlink_to(tmp_path / "data/valid/JPEGImages/video0")
    return tmp_path


def test_every_command_but_one_works_offline(
    folder: Path, outside: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert {step.split()[0] for step in STEPS} == set(COMMANDS) - {"fetch-weights", "search"}
    ended = {step: main(step.split()) for step in STEPS}
    assert {step: status for step, status in ended.items() if status} == {}, capsys.readouterr().err
    # Two videos are too few, which it says after it has read everything.
    assert main(["search", "r.yaml"]) == 2
    assert "2 videos to search on" in capsys.readouterr().err
    assert outside == []


def test_fetching_says_that_nothing_was_reached(
    folder: Path, outside: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch-weights"]) == 0
    assert outside == []
    assert main(["fetch-weights", "sam2-hiera-tiny"]) == 2
    assert outside
    assert len(capsys.readouterr().err.splitlines()) == 1
