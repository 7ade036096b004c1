"""Archives: the layout of each data set, the same bytes every time, and one line for each thing that is wrong."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, SIZE, index_map, listed, write_json, write_ref_youtube_vos
from PIL import Image

from rvos.errors import InputError, StoreError
from rvos.formats import Dataset, open_dataset, score_dataset
from rvos.formats.archives.layout import Audit
from rvos.formats.submissions import check_submission, write_submission
from rvos.masks.mask_sequences import MaskSequence, SoftMaps, encode
from rvos.videos import Video

VIDEOS = {"b": listed({"0": "1", "1": "2"}), "a": listed({"7": "2"}, FRAMES[:2])}


def read_perfect(video: Video) -> Sequence[MaskSequence]:
    return [
        MaskSequence.from_masks(
            np.stack([index_map(t) == int(expression.object_ids[0]) for t in range(video.n_frames)]),
            video=video.id,
            expression=expression.id,
            frames=video.frames,
            scores=np.ones(video.n_frames, np.float32),
        )
        for expression in reversed(video.expressions)
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path / "data", VIDEOS), "valid")


def test_the_archive_is_complete_valid_and_scores_one(tmp_path: Path, dataset: Dataset) -> None:
    path = tmp_path / "out/submission.zip"
    assert write_submission(path, dataset, read_perfect) == 8
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "Annotations/b/0/00000.png"
        assert archive.namelist()[-1] == "Annotations/a/7/00005.png"
    assert check_submission(path, dataset) == Audit([], [])
    assert score_dataset(dataset, path).j_and_f == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["submission.zip"]


def test_the_same_masks_give_the_same_bytes(tmp_path: Path, dataset: Dataset) -> None:
    for name in ("first.zip", "second.zip"):
        write_submission(tmp_path / name, dataset, read_perfect)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_mevis_archives_have_no_top_folder(tmp_path: Path) -> None:
    expressions = {name: {"exp": name, "anno_id": [1]} for name in ("0", "1")}
    write_json(
        tmp_path / "valid_u/meta_expressions.json", {"videos": {"v": {"expressions": expressions, "frames": ["0"]}}}
    )
    dataset = open_dataset("mevis", tmp_path, "valid_u")
    write_submission(tmp_path / "m.zip", dataset, read_perfect)
    with zipfile.ZipFile(tmp_path / "m.zip") as archive:
        assert archive.namelist() == ["v/0/0.png", "v/1/0.png"]
    assert check_submission(tmp_path / "m.zip", dataset) == Audit([], [])


def davis(tmp_path: Path) -> Dataset:
    videos = {"dog": listed({str(4 * o + a): str(o + 1) for o in range(2) for a in range(4)})}
    return open_dataset("ref-davis17", write_ref_youtube_vos(tmp_path / "davis", videos), "valid")


def test_davis_archives_hold_index_maps_of_each_annotation_file(tmp_path: Path) -> None:
    dataset = davis(tmp_path)
    path = tmp_path / "d.zip"
    assert write_submission(path, dataset, read_perfect) == 12
    with zipfile.ZipFile(path) as archive, Image.open(io.BytesIO(archive.read("anno_3/dog/00005.png"))) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), index_map(1))
    assert check_submission(path, dataset) == Audit([], [])
    result = score_dataset(dataset, path)
    assert (result.j, result.f) == (1, 1)


@pytest.mark.parametrize(("first", "second", "winner"), [(0.9, 0.7, 1), (0.7, 0.9, 2), (None, None, 1)])
def test_overlapping_objects_go_to_the_more_probable_one(
    tmp_path: Path, first: float | None, second: float | None, winner: int
) -> None:
    def read(video: Video) -> Sequence[MaskSequence]:
        sequences = []
        for expression in video.expressions:
            value = first if expression.object_ids == ("1",) else second
            soft = (
                None
                if value is None
                else SoftMaps.quantise(np.full((3, 6, 8), value, np.float32), low=0, high=1, kind="probability")
            )
            sequences.append(
                MaskSequence.from_masks(
                    np.ones((3, *SIZE), bool),
                    video="dog",
                    expression=expression.id,
                    frames=video.frames,
                    scores=np.ones(3, np.float32),
                    soft=soft,
                )
            )
        return sequences

    write_submission(tmp_path / "d.zip", davis(tmp_path), read)
    with (
        zipfile.ZipFile(tmp_path / "d.zip") as archive,
        Image.open(io.BytesIO(archive.read("anno_0/dog/00000.png"))) as image,
    ):
        assert np.unique(np.asarray(image)).tolist() == [winner]


def test_a_missing_result_leaves_no_archive(tmp_path: Path, dataset: Dataset) -> None:
    def read(video: Video) -> Sequence[MaskSequence]:
        if video.id == "a":
            raise StoreError("a: no such result; run the node first")
        return read_perfect(video)

    with pytest.raises(StoreError, match="no such result"):
        write_submission(tmp_path / "s.zip", dataset, read)
    with pytest.raises(InputError, match="a/7: no masks"):
        write_submission(tmp_path / "s.zip", dataset, lambda video: [] if video.id == "a" else read_perfect(video))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_archive_that_cannot_be_written_is_one_clear_error(tmp_path: Path, dataset: Dataset) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_submission(tmp_path / "file/s.zip", dataset, read_perfect)


Files = dict[str, bytes]


def png(values: np.ndarray, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def replace(name: str, content: bytes) -> Callable[[Files], None]:
    return lambda files: files.update({f"Annotations/{name}": content})


MASK = (index_map(0) == 2).astype(np.uint8) * 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("Annotations/b/1/00005.png"), "b/1: missing 00005.png"),
        (lambda f: [f.pop(name) for name in list(f) if "/b/1/" in name], "b/1: missing, all 3 frames"),
        (replace("b/1/00099.png", png(MASK)), "b/1/00099.png: not expected"),
        (replace("b/1/Thumbs.db", b""), "Thumbs.db: left by the operating system"),
        (replace("../x.png", b""), "unsafe name"),
        (replace("a/7/00000.png", png(MASK, "1")), "image mode 1"),
        (replace("a/7/00000.png", png(MASK, "P")), "image mode P"),
        (replace("a/7/00000.png", png(MASK, "RGB")), "image mode RGB"),
        (replace("a/7/00000.png", png(MASK // 255)), "value 1, expected only 0 and 255"),
        (replace("a/7/00000.png", png(MASK // 2)), "value 127, expected only 0 and 255"),
        (replace("a/7/00000.png", png(MASK[:10])), "10 x 32 pixels"),
        (replace("a/7/00000.png", png(MASK)[:60]), "image cannot be decoded"),
        (replace("a/7/00000.png", b"text"), "image cannot be decoded"),
        (lambda f: [f.update({n.removeprefix("Annotations/"): f.pop(n)}) for n in list(f)], "wrong folder level"),
        (lambda f: [f.update({f"x/{n}": f.pop(n)}) for n in list(f)], "wrong folder level"),
        (lambda f: [f.update({n.replace("/a/", "/c/").replace("/b/", "/d/"): f.pop(n)}) for n in list(f)], "no mask"),
        (lambda f: f.clear(), "the archive holds no masks"),
    ],
)
def test_each_fault_is_one_line(
    tmp_path: Path, dataset: Dataset, change: Callable[[Files], object], message: str
) -> None:
    write_submission(tmp_path / "good.zip", dataset, read_perfect)
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    problems = check_submission(tmp_path / "bad.zip", dataset).faults
    assert len(problems) == 1
    assert message in problems[0]


@pytest.mark.parametrize("root", ["ref-youtube-vos", "ref-davis17"])
def test_sentences_that_are_empty_in_every_frame_are_named(tmp_path: Path, root: str) -> None:
    videos = {"b": listed({"0": "1", "1": "1", "2": "1", "3": "1", "4": "2", "5": "2", "6": "2", "7": "2"})}
    dataset = open_dataset(root, write_ref_youtube_vos(tmp_path / "data", videos), "valid")

    def read(video: Video) -> Sequence[MaskSequence]:
        black, one_frame = np.zeros((3, *SIZE), np.bool_), np.zeros((3, *SIZE), np.bool_)
        one_frame[1, 2, 3] = True
        changed = {"1": black, "5": black, "6": one_frame}
        return [
            dataclasses.replace(one, runs=encode(changed[one.expression])) if one.expression in changed else one
            for one in read_perfect(video)
        ]

    write_submission(tmp_path / "s.zip", dataset, read)
    assert check_submission(tmp_path / "s.zip", dataset) == Audit([], ["b/1", "b/5"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_mask_written_twice_is_named(tmp_path: Path, dataset: Dataset) -> None:
    write_submission(tmp_path / "s.zip", dataset, read_perfect)
    with zipfile.ZipFile(tmp_path / "s.zip", "a") as archive:
        archive.writestr("Annotations/a/7/00000.png", png(MASK))
    assert (
        check_submission(tmp_path / "s.zip", dataset)
        .faults[0]
        .startswith("Annotations/a/7/00000.png: in the archive twice")
    )


def test_an_archive_that_fills_the_memory_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Annotations/b/0/00000.png", bytes((1 << 24) + 1))
    with pytest.raises(InputError, match=r"s\.zip: Annotations/b/0/00000\.png: unpacks to 16777217 bytes"):
        check_submission(tmp_path / "s.zip", dataset)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"], ids=repr)
def test_files_that_are_no_archive_are_named(tmp_path: Path, dataset: Dataset, content: bytes) -> None:
    (tmp_path / "s.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.zip: not a whole zip archive"):
        check_submission(tmp_path / "s.zip", dataset)
    with pytest.raises(InputError, match="no such file"):
        check_submission(tmp_path / "missing.zip", dataset)
