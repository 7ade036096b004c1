"""Networks as nodes: masks of every expression, one load for each node and worker."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
from referring_helpers import small_network
from small_data import write_split

from runners.checkpoints.saving import save_network
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds import member
from rvos_fusion.kinds.networks.loaded import Loaded

SMALL = "{short_side: 48}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("members")
    write_split(folder, n_videos=2)
    for kind in ("referformer", "mutr"):
        network = small_network(kind)
        save_network(folder / f"{kind}.safetensors", kind, network.config, network)
    return folder


def run(folder: Path, workspace: str, *words: str) -> int:
    models = (
        f"models={{a: {{runner: referformer, checkpoint: {folder}/referformer.safetensors, options: {SMALL}}}, "
        f"b: {{runner: mutr, checkpoint: {folder}/mutr.safetensors, options: {SMALL}}}, "
        f"c: {{import: png, path: {folder}/members/c}}}}"
    )
    sets = ["--set", models, "--set", "stages.stage1.ab.threshold=2", "--workspace", str(folder / workspace)]
    return main(["run", str(folder / "pipeline.yaml"), *sets, "--quiet", "--device", "cpu", *words])


def test_networks_are_loaded_once_for_all_videos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    build = member.build_runner

    def count(settings: object, **options: object) -> object:
        loaded.append(settings.runner)  # type: ignore[attr-defined]
        return build(settings, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(member, "build_runner", count)
    monkeypatch.setattr(member, "NETWORK", Loaded())
    assert run(folder, "one") == 0
    assert loaded == ["referformer", "mutr"]
    assert run(folder, "one") == 0
    assert loaded == ["referformer", "mutr"]
    assert Store(folder / "one").videos("final") == ("video0", "video1")


def test_soft_maps_are_kept_and_averaged(folder: Path) -> None:
    average = ["--set", "stages.stage1.ab={fuse: [a, b], method: average}", "--stage", "1"]
    assert run(folder, "one", *average) == 0
    sequences = Store(folder / "one").read("b", "video0")
    assert [sequence.expression for sequence in sequences] == ["0", "1", "2"]
    assert all(sequence.soft is not None for sequence in sequences)
    assert Store(folder / "one").videos("ab") == ("video0", "video1")


def test_a_device_that_is_not_there_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "nowhere", "--device", "cuda:99") == 2
    assert "device 'cuda:99' cannot be used" in capsys.readouterr().err


def test_a_network_is_dropped_before_the_next_is_loaded() -> None:
    class Network:
        pass

    place = Loaded()
    first = weakref.ref(place.get("first", Network))
    assert first() is place.get("first", Network)
    during = []
    place.get("second", lambda: during.append(first()))
    assert during == [None]
