"""Folders and archives as people and their systems leave them."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, SIZE, listed, write_json, write_png, write_predictions, write_ref_youtube_vos
from PIL import Image

from rvos.errors import InputError
from rvos.files.archives import open_archive, read_member
from rvos.files.names import is_system_path
from rvos.files.trees import list_masks, open_masks, open_tree
from rvos.formats import open_dataset, score_dataset
from rvos.imports import open_source

VIDEOS = {"a": listed({"0": "1"}), "b": listed({"0": "2"})}
LEFT_BEHIND = (
    "__MACOSX/valid/._a",
    ".DS_Store",
    "valid/._JPEGImages",
    "valid/Annotations/Thumbs.db",
    "@eaDir/x",
    "desktop.ini",
)


def pack(folder: Path, archive: Path, *, below: str = "", junk: tuple[str, ...] = ()) -> Path:
    """Pack a folder, and what a system adds to it."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name in junk:
            out.writestr(name, b"\0\5\26\7")
        for path in sorted(folder.rglob("*")):
            out.write(path, f"{below}{path.relative_to(folder)}")
    return archive


def score_is_known(root: Path, form: str = "ref-youtube-vos") -> bool:
    """Whether the masks of every expression are found and are those that were written."""
    dataset = open_dataset(form, root, "valid")
    truth = [dataset.read_truth(video).masks(one) for video in dataset.videos for one in video.expressions]
    return len(truth) == 2 and all(masks.any() and masks.shape == (3, *SIZE) for masks in truth)


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_systems_leave_is_named_so(name: str) -> None:
    assert is_system_path(name)


@pytest.mark.parametrize("name", ["valid/Annotations/a/00000.png", "Thumbs/db.png", "MACOSX/x", "a..b/c"])
def test_other_names_are_data(name: str) -> None:
    assert not is_system_path(name)


@pytest.mark.parametrize("below", ["", "data/", "data/inner/"], ids=["as it is", "wrapped", "wrapped twice"])
def test_archives_packed_by_other_systems(tmp_path: Path, below: str) -> None:
    write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    assert score_is_known(pack(tmp_path / "data", tmp_path / "d.zip", below=below, junk=LEFT_BEHIND))


def rename_masks(folder: Path) -> Path:
    """Give every mask the suffix that some programs write."""
    for path in sorted(folder.rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))
    return folder


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_masks_with_a_suffix_in_capitals_are_masks(tmp_path: Path, packed: bool) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    rename_masks(root / "valid/Annotations")
    masks = rename_masks(write_predictions(tmp_path / "pred", VIDEOS))
    if packed:
        root, masks = pack(root, tmp_path / "d.zip"), pack(masks, tmp_path / "m.zip")
    assert score_is_known(root)
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    source = open_source("png", masks)
    assert all(source.read(video)[0].masks().any() and not source.list_strays(video) for video in dataset.videos)
    result = score_dataset(dataset, masks)
    assert not result.missing
    assert not result.strays


def test_of_two_masks_of_a_frame_the_one_in_small_letters_counts(tmp_path: Path) -> None:
    for name in ("0.PNG", "0.Png", "0.png", "1.PNG", "key.json"):
        (tmp_path / name).touch()
    assert list_masks(open_tree(tmp_path)) == {"0": "0.png", "1": "1.PNG"}


@pytest.mark.parametrize("below", ["", "masks/"], ids=["as it is", "wrapped"])
def test_masks_packed_by_other_systems(tmp_path: Path, below: str) -> None:
    write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    masks = write_predictions(tmp_path / "pred/Annotations", VIDEOS).parent
    source = open_source("png", pack(masks, tmp_path / "m.zip", below=below, junk=("__MACOSX/._x", ".DS_Store")))
    dataset = open_dataset("ref-youtube-vos", tmp_path / "data", "valid")
    assert source.list_videos() == ("a", "b")
    assert all(source.read(video)[0].masks().any() for video in dataset.videos)


def test_a_folder_of_one_video_is_no_folder_too_many(tmp_path: Path) -> None:
    write_predictions(tmp_path / "pred", {"a": VIDEOS["a"]})
    assert open_masks(tmp_path / "pred").children() == ("a",)


def hide_annotations(root: Path) -> None:
    (root / "valid/Annotations").rename(root / "Annotations")
    (root / "valid/Annotations/a").mkdir(parents=True)


def hide_images(root: Path) -> None:
    (root / "valid/JPEGImages").rename(root / "JPEGImages")
    (root / "valid/JPEGImages/b").mkdir(parents=True)


def zip_annotations(root: Path) -> None:
    (root / "valid/Annotations").rename(root / "valid/all")
    pack(root / "valid/all", root / "valid/Annotations.zip", below="Annotations/", junk=("__MACOSX/Annotations/a/._x",))
    (root / "valid/Annotations/a").mkdir(parents=True)
    shutil.rmtree(root / "valid/all")


def wrap(root: Path) -> None:
    inner = root.with_name("inner")
    root.rename(inner)
    root.mkdir()
    inner.rename(root / "refer_youtube_vos")
    (root / ".DS_Store").write_bytes(b"")


@pytest.mark.parametrize("change", [hide_annotations, hide_images, zip_annotations, wrap])
def test_an_empty_folder_does_not_hide_a_full_one(tmp_path: Path, change: Callable[[Path], None]) -> None:
    write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    change(tmp_path / "data")
    assert score_is_known(tmp_path / "data")
    dataset = open_dataset("ref-youtube-vos", tmp_path / "data", "valid")
    assert [dataset.read_size(video) for video in dataset.videos] == [SIZE, SIZE]


def test_sequences_that_a_converter_moved(tmp_path: Path) -> None:
    """Of 480p only sequences of other splits are left; the converted ones lie by split."""
    write_ref_youtube_vos(tmp_path, VIDEOS)
    for name in ("a", "other"):
        (tmp_path / "DAVIS/Annotations_unsupervised/480p" / name).mkdir(parents=True)
    write_png(tmp_path / "DAVIS/Annotations_unsupervised/480p/other/00000.png", np.ones(SIZE, np.uint8))
    (tmp_path / "DAVIS/JPEGImages/480p").mkdir(parents=True)
    assert score_is_known(tmp_path, "ref-davis17")


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".JPG", ".jpeg", ".JPEG"])
def test_frames_of_any_suffix(tmp_path: Path, suffix: str) -> None:
    root = write_ref_youtube_vos(tmp_path, VIDEOS)
    for path in root.rglob("*.jpg"):
        Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    (root / "valid/JPEGImages/a/._00000.jpg").write_bytes(b"\0")
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    assert [video.read_frame(2).shape for video in dataset.videos] == [(*SIZE, 3)] * 2


@pytest.mark.parametrize(
    "content",
    [
        {"videos": {"a": {"objects": {"1": {"frames": ["00000"]}}}}},
        {"videos": {"a": {}, "b": {"objects": None}}},
        {},
    ],
    ids=["no category", "no objects", "no videos"],
)
def test_categories_are_optional(tmp_path: Path, content: object) -> None:
    write_ref_youtube_vos(tmp_path, VIDEOS)
    write_json(tmp_path / "valid/meta.json", content)
    assert open_dataset("ref-youtube-vos", tmp_path, "valid").categories == {}


def test_members_that_unpack_to_gigabytes_are_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("v/0/00000.png", "w", force_zip64=True) as member:
            for _ in range(20):
                member.write(bytes(1 << 20))
        archive.writestr("lies", b"x" * 99)
        archive.getinfo("lies").file_size = 3 << 30
    with open_archive(tmp_path / "m.zip") as archive:
        for name in archive.namelist():
            with pytest.raises(InputError, match=rf"{name}: (unpacks to \d{{8,}} bytes|damaged)"):
                read_member(archive, name, where=name)


def test_archives_with_backslashes_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("Annotations\\v\\0\\00000.png", b"")
    with pytest.raises(InputError, match=r"m\.zip: .*backslashes"):
        open_tree(tmp_path / "m.zip")


def test_frames_are_sorted_by_the_list(tmp_path: Path) -> None:
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path, VIDEOS), "valid")
    assert [path.stem for path in dataset.videos[0].image_paths] == list(FRAMES)
