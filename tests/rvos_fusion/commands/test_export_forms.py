"""Masks leave as PNG files, as run lengths that come back, and as videos to look at."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from small_data import FRAMES, HEIGHT, WIDTH, write_split

from rvos_fusion.commands.cli import main

EXPORT = ["export", "final", "--workspace", "runs", "--out", "out"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of the small recipe."""
    write_split(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    return tmp_path


def read_masks(folder: Path) -> dict[str, bytes]:
    """Return the exported files by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_run_lengths_are_imported_to_the_same_masks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EXPORT, "--as", "rle"]) == 0
    assert "18 masks of 2 videos from final" in capsys.readouterr().out
    assert [path.name for path in Path("out").iterdir()] == ["masks.json"]
    said = ["import", "out/masks.json", "--recipe", "pipeline.yaml", "--workspace", "again", "--node", "final"]
    assert main(said) == 0
    assert main([*EXPORT, "--as", "png"]) == 0
    assert main(["export", "final", "--workspace", "again", "--out", "second"]) == 0
    assert len(read_masks(Path("out"))) == 18
    assert read_masks(Path("second")) == read_masks(Path("out"))


def test_a_recipe_takes_exported_run_lengths(folder: Path) -> None:
    assert main([*EXPORT, "--as", "rle"]) == 0
    changed = ["--set", "models.a={import: rle, path: out/masks.json}", "--workspace", "runs/rle"]
    assert main(["run", "pipeline.yaml", "--node", "a", *changed, "--quiet"]) == 0
    assert main(["export", "a", "--workspace", "runs/rle", "--out", "second"]) == 0
    assert main(EXPORT) == 0
    assert read_masks(Path("second")) == read_masks(Path("out"))


def test_every_sentence_becomes_a_video(folder: Path) -> None:
    said = [*EXPORT, "--as", "video", "--recipe", "pipeline.yaml", "--videos", "video1", "--fps", "3"]
    assert main(said) == 0
    assert sorted(path.name for path in Path("out/video1").iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]
    with av.open("out/video1/0.mp4") as container:
        (stream,) = container.streams.video
        assert (stream.height, stream.width, stream.average_rate) == (HEIGHT, WIDTH, 3)
        assert sum(1 for _ in container.decode(stream)) == len(FRAMES)
    assert Path("out/video1/0.mp4").read_bytes() != Path("out/video1/2.mp4").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", "video"], "data set: give --recipe RECIPE"),
        (["--as", "video", "--recipe", "pipeline.yaml", "--fps", "0"], "--fps 0.0: give more than 0"),
        (["--as", "video", "--root", "other", "--split", "valid"], "other: no video video1; name the data set"),
        (["--as", "rle", "--soft"], "--soft npz and --as rle: probabilities have forms of their own"),
    ],
)
def test_what_does_not_go_together_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    write_split(folder / "shorter", 1)
    (folder / "shorter" / "data").rename(folder / "other")
    capsys.readouterr()
    assert main([*EXPORT, *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not Path("out").exists()
