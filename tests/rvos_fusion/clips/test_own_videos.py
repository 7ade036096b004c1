"""A user's clip becomes a data set of one video."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from rvos.errors import InputError
from rvos.files.video_files import count_clip_frames, find_pictures, read_matrix, read_video, turn_upright
from rvos.formats import open_dataset
from rvos_fusion.clips.overlays import write_video
from rvos_fusion.clips.own_videos import name_video, write_own_video


def write_image(path: Path, value: int, *, size: tuple[int, int] = (16, 24)) -> None:
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(path)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    source = tmp_path / "my clip.v2"
    source.mkdir()
    for number, value in ((10, 200), (9, 100), (1, 20)):
        write_image(source / f"frame{number}.png", value)
    (source / "notes.txt").write_text("not a frame")
    name = write_own_video(tmp_path / "data", source, ["the red ball", "it"])
    video = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name)
    assert [round(float(video.read_frame(index).mean())) for index in range(3)] == [20, 100, 200]
    assert [expression.text for expression in video.expressions] == ["the red ball", "it"]
    assert video.frames == ("frame1", "frame9", "frame10")


def test_a_video_file_is_thinned_and_cut(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    write_video(source, [np.full((32, 48, 3), 20 * i, dtype=np.uint8) for i in range(10)], frames_per_second=10)
    name = write_own_video(tmp_path / "data", source, ["a thing"], every=3, max_frames=3)
    video = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name)
    assert [round(float(video.read_frame(index).mean()), -1) for index in range(3)] == [0, 60, 120]
    assert video.frames == ("00000", "00003", "00006")


CORNERS = np.zeros((32, 48, 3), np.uint8)
CORNERS[:16, :24] = 240  # light in the upper left of a wide picture


@pytest.mark.parametrize(
    ("orientation", "size", "light"),
    [(1, (32, 48), (0, 0)), (2, (32, 48), (0, 1)), (3, (32, 48), (1, 1)), (6, (48, 32), (0, 1)), (8, (48, 32), (1, 0))],
    ids=["as it is", "mirrored", "upside down", "a quarter right", "a quarter left"],
)
def test_pictures_are_turned_as_they_say(
    tmp_path: Path, orientation: int, size: tuple[int, int], light: tuple[int, int]
) -> None:
    (tmp_path / "clip").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(CORNERS).save(tmp_path / "clip/0.jpg", exif=exif)
    name = write_own_video(tmp_path / "data", tmp_path / "clip", ["a thing"])
    video = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name)
    frame = video.read_frame(0)
    assert (video.read_size(), frame.shape[:2]) == (size, size)
    quarters = [[float(part.mean()) for part in np.array_split(half, 2, axis=1)] for half in np.array_split(frame, 2)]
    assert np.unravel_index(int(np.argmax(quarters)), (2, 2)) == light


@pytest.mark.parametrize(
    ("matrix", "size", "light"),
    [
        (((1, 0), (0, 1)), (32, 48), (0, 0)),
        (((-1, 0), (0, 1)), (32, 48), (0, 1)),
        (((-1, 0), (0, -1)), (32, 48), (1, 1)),
        (((0, 1), (-1, 0)), (48, 32), (0, 1)),
        (((0, -1), (1, 0)), (48, 32), (1, 0)),
        (((0, 1), (1, 0)), (48, 32), (0, 0)),
    ],
    ids=["as it is", "mirrored", "upside down", "a quarter right", "a quarter left", "transposed"],
)
def test_frames_of_a_phone_are_turned_as_the_clip_says(
    matrix: tuple[tuple[int, int], ...], size: tuple[int, int], light: tuple[int, int]
) -> None:
    """Row by row: where a step to the right, and one down, leads in the picture that is shown."""
    whole = np.zeros((3, 3), np.int32)
    whole[:2, :2] = np.array(matrix) << 16
    turned = turn_upright(CORNERS, whole)
    assert turned.shape[:2] == size
    height, width = size
    row, column = light[0] * (height - 1), light[1] * (width - 1)
    assert turned[row, column, 0] == 240
    assert int((turned[:, :, 0] == 240).sum()) == 16 * 24


def test_sixteen_bits_keep_their_greys(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    values = np.full((16, 24), 0x4000, np.uint16)
    values[8:] = 0xC000
    Image.fromarray(values).save(tmp_path / "clip/0.png")
    name = write_own_video(tmp_path / "data", tmp_path / "clip", ["a thing"])
    frame = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name).read_frame(0)
    assert [round(float(part.mean()), -1) for part in (frame[:6], frame[10:])] == [60, 190]


def test_sentences_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    write_image(tmp_path / "clip/0.png", 9)
    with pytest.raises(InputError, match="no UTF-8"):
        write_own_video(tmp_path / "data", tmp_path / "clip", ["a \udcff thing"])


def test_frames_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for name in ("a.png", "A.jpg"):
        write_image(tmp_path / "clip" / name, 9)
    with pytest.raises(InputError, match="two frames are named a"):
        write_own_video(tmp_path / "data", tmp_path / "clip", ["a thing"])


def test_names_are_safe() -> None:
    assert name_video(Path("a b/../.c d!.mp4")) == "c_d"
    assert name_video(Path("/tmp/видео.mp4")) == "video"


def test_unequal_frames_and_empty_folders_are_named(tmp_path: Path) -> None:
    source = tmp_path / "clip"
    source.mkdir()
    with pytest.raises(InputError, match="no frames"):
        write_own_video(tmp_path / "data", source, ["a thing"])
    write_image(source / "0.png", 0)
    write_image(source / "1.png", 0, size=(16, 26))
    with pytest.raises(InputError, match=r"frame 1 is \(16, 26\)"):
        write_own_video(tmp_path / "data", source, ["a thing"])
    (source / "1.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"1\.png: image cannot be decoded"):
        write_own_video(tmp_path / "data", source, ["a thing"])


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_thumbnail_that_is_not_marked_as_one_is_not_the_clip(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"clip.{container}"
    with av.open(str(path), "w") as out:
        thumbnail, clip = out.add_stream("mjpeg", rate=10), out.add_stream("mpeg4", rate=10)
        thumbnail.width, thumbnail.height, thumbnail.pix_fmt = 16, 16, "yuvj420p"
        clip.width, clip.height, clip.pix_fmt = 32, 24, "yuv420p"
        for stream, size, n_frames in ((thumbnail, (16, 16, 3), 1), (clip, (24, 32, 3), 5)):
            for _ in range(n_frames):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros(size, np.uint8), format="rgb24")))
            out.mux(stream.encode())
    assert [frame.shape for frame in read_video(path)] == [(24, 32, 3)] * 5
    assert count_clip_frames(path) == 5


def test_a_cover_picture_is_not_the_stream_that_is_read() -> None:
    kept = {"frames": 0, "codec_context": SimpleNamespace(name="h264")}
    cover, clip = (SimpleNamespace(disposition=one, **kept) for one in (Disposition.attached_pic, Disposition.default))
    opened = SimpleNamespace(streams=SimpleNamespace(video=[cover, clip]))
    assert find_pictures(opened, Path("clip.mp4")) is clip  # type: ignore[arg-type, comparison-overlap]
    opened.streams.video = [cover]
    with pytest.raises(InputError, match=r"clip\.mp4: holds no video stream but a cover picture"):
        find_pictures(opened, Path("clip.mp4"))  # type: ignore[arg-type]


class Unnamed:
    """A frame beside whose picture lies data of a kind that has no name."""

    rotation = -90

    @property
    def side_data(self) -> object:
        raise ValueError("31 is not a valid Type")


def test_a_stream_that_no_decoder_knows_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [np.zeros((32, 48, 3), np.uint8)] * 3, frames_per_second=6)
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.count(b"avc1") >= 1
    (tmp_path / "clip.mp4").write_bytes(content.replace(b"avc1", b"qqq1"))
    with pytest.raises(InputError, match=r"clip\.mp4: holds a video stream that no decoder here knows"):
        write_own_video(tmp_path / "data", tmp_path / "clip.mp4", ["a thing"])


def test_data_without_a_name_is_passed_over_and_the_turn_kept() -> None:
    matrix = read_matrix(Unnamed())  # type: ignore[arg-type]
    assert matrix is not None
    turned = turn_upright(CORNERS, matrix)
    assert turned.shape == (48, 32, 3)
    assert turned[0, -1, 0] == 240  # a quarter to the right
