"""The cases that travel with the project: a fresh clone proves its networks against the official ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rvos.errors import InputError
from rvos_fusion.commands.parity import list_cases
from rvos_fusion.parity.cases import Case
from rvos_fusion.parity.checking import check, check_case
from rvos_fusion.parity.condensed import LARGEST, condense, read_condensed

CASES = Path(__file__).resolve().parents[2] / "parity_cases"
NAMES = sorted(str(path.relative_to(CASES).with_suffix("")) for path in CASES.rglob("*.npz"))
NETWORKS = ("aot", "cfbi", "common", "deaot", "mutr", "referformer", "sam2", "sam3", "soc", "uninext")


def test_every_network_has_a_case() -> None:
    assert {name.split("/")[0] for name in NAMES} >= set(NETWORKS)


@pytest.mark.parametrize("name", NAMES)
def test_every_output_is_the_official_one(name: str) -> None:
    outputs, _ = check_case(CASES / f"{name}.npz")
    assert outputs
    wrong = [f"{row.name}: {row.relative:.2g} > {row.limit:.2g}" for row in outputs if not row.passes]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_small_and_keeps_samples_of_every_output(name: str) -> None:
    path = CASES / f"{name}.npz"
    assert path.stat().st_size <= LARGEST
    for array in read_condensed(path).outputs.values():
        assert array.dtype.kind != "f" or np.isfinite(array).any()


def test_a_wrong_network_is_noticed() -> None:
    case = read_condensed(CASES / "common" / "text_encoder.npz")
    other = dataclasses.replace(case, keys={**case.keys, "salt": "another:"})
    outputs, _ = check(other)
    assert not all(row.passes for row in outputs)


def make_case(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    (folder / "keys.json").write_text(json.dumps({"model": "none", "keys": []}))
    np.savez(folder / "inputs.npz", frames=frames, size=np.asarray([3, 4]))
    np.savez(folder / "outputs.npz", large=np.linspace(-3, 2, 5000, dtype=np.float32), mask=frames[0, ..., 0] > 9)
    return folder


def reread(folder: Path, out: Path) -> Case:
    condense(folder, out)
    return read_condensed(out)


@pytest.mark.parametrize("levels", [200, 256, 60000], ids=["few levels", "all levels of a byte", "too many levels"])
def test_inputs_are_kept_exactly(tmp_path: Path, levels: int) -> None:
    random = np.random.default_rng(0)
    frames = (random.integers(0, levels, (2, 20, 24, 3)) / 7).astype(np.float32)
    case = reread(make_case(tmp_path / "case", frames), tmp_path / "case.npz")
    assert np.array_equal(case.inputs["frames"], frames)
    assert case.inputs["frames"].dtype == np.float32
    assert np.array_equal(case.inputs["size"], [3, 4])


def test_large_outputs_keep_samples_with_the_largest_value(tmp_path: Path) -> None:
    frames = np.arange(2 * 20 * 24 * 3, dtype=np.float32).reshape(2, 20, 24, 3)
    case = reread(make_case(tmp_path / "case", frames), tmp_path / "case.npz")
    expected = np.linspace(-3, 2, 5000, dtype=np.float32)
    kept = np.isfinite(case.outputs["large"])
    assert 100 < kept.sum() < 300
    assert np.array_equal(case.outputs["large"][kept], expected[kept])
    assert np.nanmax(np.abs(case.outputs["large"])) == 3
    assert np.array_equal(case.outputs["mask"], frames[0, ..., 0] > 9)


def test_the_same_case_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = make_case(tmp_path / "case", np.zeros((1, 20, 24, 3), np.float32))
    condense(folder, tmp_path / "a.npz")
    condense(folder, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_case_that_stays_large_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((4, 64, 64, 3)).astype(np.float32)
    with pytest.raises(InputError, match="keep fewer frames"):
        condense(make_case(tmp_path / "case", noise), tmp_path / "case.npz")


def test_a_file_that_is_no_case_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.npz: no condensed parity case"):
        read_condensed(tmp_path / "x.npz")


def test_a_folder_of_condensed_cases_stands_for_all_of_them(tmp_path: Path) -> None:
    for name in ("b.npz", "a.npz"):
        (tmp_path / name).touch()
    assert list_cases(tmp_path) == [tmp_path / "a.npz", tmp_path / "b.npz"]
    (tmp_path / "keys.json").touch()
    assert list_cases(tmp_path) == [tmp_path]
