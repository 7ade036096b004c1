"""`rvos segment`: a clip and sentences in, masks, an overlay video and a page out."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from referring_helpers import small_network

from runners.checkpoints.saving import save_network
from rvos.files.video_files import read_video
from rvos.masks.stored.store import Store
from rvos_fusion.clips.overlays import write_video
from rvos_fusion.commands.cli import main

RECIPE = """\
dataset: {format: ref-youtube-vos, root: elsewhere, split: valid}
workspace: runs
groups: {by: object_id}
models:
  referformer: {runner: referformer, checkpoint: referformer.safetensors, options: {short_side: 48}}
stages:
  stage1:
    kept: {fuse: [referformer], threshold: 0.5, singles: {only: referformer}}
submission: {node: kept}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = small_network("referformer")
    save_network(tmp_path / "referformer.safetensors", "referformer", network.config, network, torch.float16)
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    write_video(tmp_path / "clip.mp4", frames, frames_per_second=6)
    return tmp_path


def segment(folder: Path, *words: str) -> int:
    recipe, out = str(folder / "pipeline.yaml"), str(folder / "out")
    return main(["segment", str(folder / "clip.mp4"), *words, "--recipe", recipe, "--out", out, "--quiet"])


def test_masks_overlay_and_page_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "the red ball", "the box it hits") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-6] for line in lines[1:3]] == ["orange", "blue"]
    assert lines[2].startswith("the box it hits")
    printed = [Path(line) for line in lines[-3:]]
    assert printed == [folder / "out" / name for name in ("masks", "overlay.mp4", "report.html")]
    masks = sorted(path.relative_to(printed[0]) for path in printed[0].rglob("*.png"))
    assert masks == [Path(e) / f"{frame:05d}.png" for e in ("0", "1") for frame in range(3)]
    with Image.open(printed[0] / masks[0]) as mask:
        assert (mask.mode, mask.size) == ("L", (64, 48))
    assert len(list(read_video(printed[1]))) == 3
    assert "the box it hits" in printed[2].read_text()


def test_corrections_by_hand_are_of_other_videos(folder: Path) -> None:
    recipe = folder / "pipeline.yaml"
    line = "    by_hand: {correct: kept, corrections: by_hand.jsonl}\nsubmission: {node: by_hand}"
    recipe.write_text(RECIPE.replace("submission: {node: kept}", line))
    empty = '{"node": "kept", "video": "VIDEO", "sentence": "0", "empty": ["00000", "00002"]}\n'
    (folder / "by_hand.jsonl").write_text(empty.replace("VIDEO", "clip") + empty.replace("VIDEO", "other"))
    assert segment(folder, "the red ball") == 0
    store = Store(folder / "out/workspace")
    assert store.read("by_hand", "clip")[0].runs == store.read("kept", "clip")[0].runs
    assert store.read("kept", "clip")[0].masks().any()


def test_words_without_quotes_are_told_from_sentences(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "the", "red", "ball") == 0
    assert 'quotes make one of them: "the red ball"' in capsys.readouterr().err
    assert segment(folder, "ball", "box") == 0
    assert "quotes" not in capsys.readouterr().err


def test_a_second_call_reuses_the_masks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "the red ball") == 0
    stored = next((folder / "out" / "workspace").rglob("kept/**/*.masks"))
    before = stored.stat().st_mtime_ns
    assert segment(folder, "the red ball") == 0
    assert stored.stat().st_mtime_ns == before


def test_each_clip_has_a_folder_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "other").mkdir()
    shutil.copy(folder / "clip.mp4", folder / "other" / "clip.mp4")
    for source in ("clip.mp4", "other/clip.mp4", "clip.mp4"):
        assert main(["segment", source, "a ball", "--quiet"]) == 0
    outs = [Path(line).parent for line in capsys.readouterr().out.splitlines() if line.endswith("masks")]
    assert [str(out) for out in outs] == ["runs/segment/clip", "runs/segment/clip-2", "runs/segment/clip"]


def test_a_folder_of_another_clip_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "a ball") == 0
    before = sorted((folder / "out").rglob("*"))
    shutil.copy(folder / "clip.mp4", folder / "second.mp4")
    words = ["--recipe", str(folder / "pipeline.yaml"), "--out", str(folder / "out"), "--quiet"]
    assert main(["segment", str(folder / "second.mp4"), "a ball", *words]) == 2
    assert "holds the masks of" in capsys.readouterr().err
    assert sorted((folder / "out").rglob("*")) == before


def test_masks_of_an_earlier_call_do_not_stay(folder: Path) -> None:
    assert segment(folder, "a ball", "a box") == 0
    mine = folder / "out" / "masks" / "mine.txt"
    mine.write_text("kept")
    assert segment(folder, "a ball", "--max-frames", "2") == 0
    left = sorted(str(path.relative_to(mine.parent)) for path in mine.parent.rglob("*") if path.is_file())
    assert left == ["0/00000.png", "0/00001.png", "mine.txt"]
    assert not (mine.parent / "1").exists()


def test_a_long_clip_is_seen_in_windows_and_it_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rvos_fusion.clips.long_clips.LONG_CLIP", 2)
    monkeypatch.setattr("rvos_fusion.clips.long_clips.WINDOW", 2)
    monkeypatch.setattr("rvos_fusion.clips.long_clips.OVERLAP", 1)
    assert segment(folder, "a ball") == 0
    assert "a long clip of 3 frames: members see windows of 2" in capsys.readouterr().err
    assert segment(folder, "a ball", "--set", "models.referformer.window=3") == 0
    stored = list((folder / "out" / "workspace" / "nodes" / "referformer").rglob("*.masks"))
    assert len(stored) == 2, "the window given by hand wins, and makes a result of its own"


def test_only_what_the_node_needs_is_computed(folder: Path) -> None:
    assert segment(folder, "a ball", "--node", "referformer") == 0
    assert [path.name for path in (folder / "out" / "workspace" / "nodes").iterdir()] == ["referformer"]


def test_the_overlay_has_the_rate_and_the_sound_of_the_clip(folder: Path) -> None:
    write_sounding_clip(folder / "clip.mp4", n_frames=10, rate=25)
    assert segment(folder, "a ball", "--every", "2") == 0
    with av.open(str(folder / "out" / "overlay.mp4")) as overlay:
        assert overlay.streams.video[0].average_rate == Fraction(25, 2)
        assert overlay.streams.video[0].frames == 5
        assert [stream.type for stream in overlay.streams] == ["video", "audio"]
        heard = np.concatenate([frame.to_ndarray()[0] for frame in overlay.decode(audio=0)])
        assert float(np.abs(heard).max()) > 0.1
        assert len(heard) / 48000 == pytest.approx(0.4, abs=0.05)


def test_the_overlay_keeps_uneven_times_and_all_of_the_sound(folder: Path) -> None:
    ticks = [0, 4, 8, 12, 62, 112]
    write_sounding_clip(folder / "clip.mp4", n_frames=len(ticks), rate=25, ticks=ticks)
    assert segment(folder, "a ball") == 0
    with av.open(str(folder / "out" / "overlay.mp4")) as overlay:
        assert [round(float(frame.time or 0) * 25) for frame in overlay.decode(video=0)] == ticks
    assert segment(folder, "a ball", "--every", "2", "--max-frames", "2") == 0
    with av.open(str(folder / "out" / "overlay.mp4")) as overlay:
        assert [round(float(frame.time or 0) * 25) for frame in overlay.decode(video=0)] == [0, 8]


def test_the_overlay_keeps_the_shape_of_pixels(folder: Path) -> None:
    write_sounding_clip(folder / "clip.mp4", n_frames=2, rate=25, pixel_ratio=Fraction(2))
    for words in ([], ["--fps", "5"]):
        assert segment(folder, "a ball", *words) == 0
        with av.open(str(folder / "out" / "overlay.mp4")) as overlay:
            assert overlay.streams.video[0].sample_aspect_ratio == 2


@pytest.mark.parametrize("words", [["--fps", "5"], ["--no-sound"]], ids=["another rate", "no sound"])
def test_sound_is_left_out_where_it_is_not_wanted_or_would_not_fit(folder: Path, words: list[str]) -> None:
    write_sounding_clip(folder / "clip.mp4", n_frames=4, rate=25)
    assert segment(folder, "a ball", *words) == 0
    with av.open(str(folder / "out" / "overlay.mp4")) as overlay:
        assert [stream.type for stream in overlay.streams] == ["video"]
        assert overlay.streams.video[0].average_rate == (5 if "--fps" in words else 25)


def write_sounding_clip(
    path: Path, *, n_frames: int, rate: int, ticks: list[int] | None = None, pixel_ratio: Fraction = Fraction(1)
) -> None:
    """Frames of noise and a tone of 440 Hz; `ticks`: when each frame is shown, in parts of the rate."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=rate)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.sample_aspect_ratio = pixel_ratio
        tone = container.add_stream("aac", rate=44100, layout="mono")
        for tick in ticks or range(n_frames):
            frame = av.VideoFrame.from_ndarray(random.integers(0, 255, (48, 64, 3), dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, rate)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100 * n_frames // rate) / 44100)
        sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(tone.encode(sound))
        container.mux(tone.encode())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--node", "stage9"], "no result 'stage9'"),
        (["a", "--every", "0"], "--every 0"),
        (["a", "--set", "models.referformer.checkpoint=absent.pth"], "absent.pth"),
    ],
    ids=["node", "every", "checkpoint"],
)
def test_wrong_words_give_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert segment(folder, *words) == 2
    assert message in capsys.readouterr().err
