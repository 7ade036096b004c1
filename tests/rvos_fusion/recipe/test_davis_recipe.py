"""The bundled recipe of Ref-DAVIS17 from end to end: four annotators, several objects, one index map a frame."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rvos.formats import open_dataset
from rvos_fusion.commands.cli import main

RECIPE = Path(__file__).resolve().parents[3] / "recipes/demo_ref_davis.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest synthetic set: one video."""
    root = tmp_path_factory.mktemp("davis")
    words = ["synthesize", "--format", "ref-davis17", "--seed", "1", "--videos", "1", "--out", str(root)]
    assert main(words) == 0
    return root


def test_every_object_has_four_sentences_that_stand_together(data: Path) -> None:
    video = open_dataset("ref-davis17", data, "valid").videos[0]
    n_objects = len({one.object_ids for one in video.expressions})
    assert n_objects >= 3
    assert [one.object_ids for one in video.expressions] == [(str(o + 1),) for o in range(n_objects) for _ in range(4)]
    assert [one.id for one in video.expressions] == [str(place) for place in range(4 * n_objects)]
    assert len({one.text for one in video.expressions}) > 2 * n_objects


def test_all_objects_are_there_in_the_first_frame_where_the_protocol_counts_them(data: Path) -> None:
    dataset = open_dataset("ref-davis17", data, "valid")
    video = dataset.videos[0]
    truth = dataset.read_truth(video, [0])
    assert all(truth.masks(one).any() for one in video.expressions)


def test_the_recipe_runs_from_end_to_end(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Three frames are enough here.
    short = _shorten(data, tmp_path / "short", n_frames=3)
    options = [str(RECIPE), "--set", f"dataset.root={short}", "--set", f"workspace={tmp_path / 'runs'}"]
    assert main(["run", *options, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["table", *options, "soc", "final", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert main(["submit", *options]) == 0
    archive = tmp_path / "runs/submission.zip"
    assert main(["check-submission", str(archive)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(short), str(archive), "--format", "ref-davis17", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert rows[1]["j_and_f"] == pytest.approx(100 * scored["J&F"])

    video = open_dataset("ref-davis17", short, "valid").videos[0]
    with zipfile.ZipFile(archive) as content:
        assert content.namelist() == [
            f"anno_{number}/{video.id}/{frame}.png" for number in range(4) for frame in video.frames
        ]
        with content.open(content.namelist()[0]) as file, Image.open(file) as image:
            assert image.mode == "P"
            assert set(np.unique(np.asarray(image)).tolist()) <= {
                0,
                *(int(one.object_ids[0]) for one in video.expressions),
            }
    assert main(["report", *options, "--quiet", "--no-sweeps"]) == 0


def _shorten(data: Path, root: Path, *, n_frames: int) -> Path:
    """Copy a set with the first frames alone."""
    for path in sorted(data.rglob("*")):
        is_frame = path.suffix in (".jpg", ".png")
        if path.is_file() and not (is_frame and int(path.stem) >= n_frames):
            copy = root / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return root
