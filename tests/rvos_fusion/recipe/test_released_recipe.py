"""The released recipe on the release's own files: every node, pixel by pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reference import RELEASED
from release import Masks, read_expected, read_listed, write_release

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

RECIPE = Path(__file__).parents[3] / "recipes" / "lsvos2023_released.yaml"
RAW = {"soc": "soc", "mutr": "mutr", "referformer_ft": "referformer_ft", "vit_huge": "vit-huge", "convnext": "convnext"}
FUSED = {"smr": "soc_mutr_referft", "vcs": "vit_convnext_soc", "en2": "en2", "final": "final"}


@pytest.fixture(scope="module")
def case() -> Path:
    return RELEASED


@pytest.fixture(scope="module")
def workspace(case: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    release = write_release(case, folder)
    sets = [word for override in release.overrides for word in ("--set", override)]
    assert main(["run", str(RECIPE), "--workspace", str(folder / "runs"), "--quiet", *sets]) == 0
    return folder / "runs"


def read_node(workspace: Path, node: str) -> Masks:
    store = Store(workspace)
    sequences = [sequence for video in store.videos(node) for sequence in store.read(node, video)]
    return {(sequence.video, sequence.expression): sequence.masks() for sequence in sequences}


def find_rests(case: Path) -> set[tuple[str, str]]:
    """Return the odd last expressions."""
    listed = read_listed(case)
    return {(video, names[-1]) for video, (_, names) in listed.items() if len(names) % 2}


@pytest.mark.parametrize(("node", "name"), [*((n, f"raw/{m}") for n, m in RAW.items()), *FUSED.items()])
def test_every_node_has_no_differing_pixel(workspace: Path, case: Path, node: str, name: str) -> None:
    found, expected = read_node(workspace, node), read_expected(case, name)
    assert found.keys() == expected.keys()
    corrected = find_rests(case) if node == "vcs" else set()
    for key in found.keys() - corrected:
        assert np.count_nonzero(found[key] != expected[key]) == 0, key


def test_the_odd_rest_of_vcs_is_vit_huge_alone_without_a_second_sigmoid(workspace: Path, case: Path) -> None:
    found, plain, released = (
        read_node(workspace, "vcs"),
        read_expected(case, "raw/vit-huge"),
        read_expected(case, FUSED["vcs"]),
    )
    rests = find_rests(case)
    assert len(rests) == 5
    assert all(np.array_equal(found[key], plain[key]) for key in rests)
    assert sum(int((released[key] != plain[key]).sum()) for key in rests) == 40356


@pytest.mark.parametrize("node", [*RAW, "smr", "vcs"])
def test_every_key_frame_is_equal(workspace: Path, case: Path, node: str) -> None:
    expected = json.loads((case / "expected_key_frames.json").read_text())[(RAW | FUSED)[node]]
    store = Store(workspace)
    found = {
        video: {
            sequence.expression: {"index_info": {"class_index": sequence.pick_key_frame()}}
            for sequence in store.read(node, video)
        }
        for video in store.videos(node)
    }
    assert found == expected
