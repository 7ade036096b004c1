"""How steady masks are: variances and IoU of neighbouring frames equal a dense computation, by duration too."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_data import write_split

from rvos.evaluation import j_and_f
from rvos.formats import open_dataset
from rvos.masks.mask_sequences import encode
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.scores.steadiness import TRUTH, measure_consistency


def measure_densely(masks: NDArray[np.bool_]) -> float:
    values = []
    for before, after in pairwise(masks):
        union = (before | after).sum()
        values.append(1.0 if union == 0 else (before & after).sum() / union)
    return float(np.mean(values))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.7]), st.integers(2, 5))
def test_consistency_is_the_mean_iou_of_neighbouring_masks(seed: int, share: float, n_frames: int) -> None:
    masks = np.random.default_rng(seed).random((n_frames, 5, 6)) < share
    assert measure_consistency(encode(masks), (5, 6)) == pytest.approx(measure_densely(masks))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_split(tmp_path, 3)
    listing = tmp_path / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(listing.read_text())
    content["videos"]["video0"]["frames"].pop()
    listing.write_text(json.dumps(content))
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def test_a_table_has_variances_and_consistency_by_duration(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["table", str(finished / "pipeline.yaml"), "a", "ab", "--stability", "--json"]) == 0
    found = {row["node"]: row for row in json.loads(capsys.readouterr().out)["stability"]}
    assert list(found) == ["a", "ab", "b", "c", TRUTH]
    dataset = open_dataset("ref-youtube-vos", finished / "data", "valid")
    for node in ("a", "ab"):
        variances, steady = [], []
        for video in dataset.videos:
            truth = dataset.read_truth(video)
            stored = {one.expression: one.masks() for one in Store(finished / "runs").read(node, video.id)}
            for one in video.expressions:
                j, f = j_and_f(truth.masks(one), stored[one.id])
                variances.append((j.var(), ((j + f) / 2).var()))
                steady.append(measure_densely(stored[one.id]))
        assert (found[node]["variance_j"], found[node]["variance_j_and_f"]) == pytest.approx(np.mean(variances, axis=0))
        assert found[node]["consistency"] == pytest.approx(100 * np.mean(steady))
    shares = [(part["shortest"], part["longest"], part["n_videos"]) for part in found["a"]["durations"]]
    assert shares == [(2, 2, 1), (3, 3, 2)]


@pytest.mark.parametrize("form", [[], ["--csv"], ["--markdown"]], ids=["text", "csv", "markdown"])
def test_every_form_of_the_table_shows_it(finished: Path, form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["table", str(finished / "pipeline.yaml"), "a", "--stability", *form]) == 0
    assert "consistency" in capsys.readouterr().out


def test_single_frames_have_no_variance(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = finished / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(listing.read_text())
    for video in content["videos"].values():
        video["frames"] = video["frames"][:1]
    listing.write_text(json.dumps(content))
    assert main(["run", str(finished / "pipeline.yaml"), "--quiet"]) == 0
    assert main(["table", str(finished / "pipeline.yaml"), "a", "--stability"]) == 2
    assert "no video has two frames" in capsys.readouterr().err
