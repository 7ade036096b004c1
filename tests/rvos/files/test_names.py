"""Names with accents, which systems write as one character or as two, and archives in UTF-8 without saying so."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

import numpy as np
import pytest
import torch
from data_folders import FRAMES, SIZE, index_map, listed, write_json, write_predictions, write_ref_youtube_vos
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from fusion.groups import Group, read_group_file
from rvos.errors import InputError
from rvos.files.json_files import parse_json
from rvos.files.names import find_named
from rvos.files.trees import Tree, open_tree
from rvos.formats import Dataset, open_dataset, score_dataset
from rvos.formats.submissions import check_submission
from rvos.imports import find_misfits, open_source

ONE, TWO = "caf\u00e9", "cafe\u0301"
names = st.text(
    st.characters(categories=("Ll", "Lo", "Mn", "Nd"), max_codepoint=0xD7FF), min_size=1, max_size=8
).filter(lambda text: text[0].isalnum() and len(text.encode()) < 60)


def pack_without_flag(archive: Path, members: dict[str, bytes]) -> Path:
    """Write members whose names are bytes of UTF-8, as programs do that do not set the flag."""
    stand_ins = {
        name: "".join(f"\x01{place:02d}".ljust(len(name.encode()), "\x02")) for place, name in enumerate(members)
    }
    with zipfile.ZipFile(archive, "w") as out:
        for name, content in members.items():
            out.writestr(zipfile.ZipInfo(stand_ins[name]), content)
    content = archive.read_bytes()
    for name, stand_in in stand_ins.items():
        content = content.replace(stand_in.encode(), name.encode())
    archive.write_bytes(content)
    return archive


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check_tree(tree: Tree, name: str) -> None:
    composed = normalize("NFC", name)
    assert tree.children() == (composed,)
    assert tree.children(composed) == ("masks.png",)
    assert tree.is_folder(composed)
    assert tree.exists(f"{composed}/masks.png")
    assert tree.below(composed).read("masks.png") == tree.read(f"{composed}/masks.png") == b"content"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@given(name=names)
def test_a_name_is_found_in_either_form_on_disk_and_in_archives(form: str, name: str) -> None:
    written = normalize(form, name)  # type: ignore[arg-type]
    with TemporaryDirectory() as place:
        (Path(place) / "tree" / written).mkdir(parents=True)
        (Path(place) / "tree" / written / "masks.png").write_bytes(b"content")
        check_tree(open_tree(Path(place) / "tree"), name)
        for other in ("NFC", "NFD"):
            file = find_named(Path(place) / "tree", f"{normalize(other, name)}/masks.png")  # type: ignore[arg-type]
            assert file.read_bytes() == b"content"
        with zipfile.ZipFile(Path(place) / "flag.zip", "w") as archive:
            archive.writestr(f"{written}/masks.png", b"content")
        check_tree(open_tree(Path(place) / "flag.zip"), name)
        pack_without_flag(Path(place) / "bare.zip", {f"{written}/masks.png": b"content"})
        check_tree(open_tree(Path(place) / "bare.zip"), name)


@given(name=names)
def test_keys_of_json_are_composed(name: str) -> None:
    for form in ("NFC", "NFD"):
        text = json.dumps({normalize(form, name): normalize(form, name)})  # type: ignore[arg-type]
        assert list(parse_json(text.encode(), where="f")) == [normalize("NFC", name)]


def test_a_name_of_cp437_stays_what_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("cafX/0.png", b"")
    (tmp_path / "m.zip").write_bytes((tmp_path / "m.zip").read_bytes().replace(b"cafX", "caf\u00e9".encode("cp437")))
    assert open_tree(tmp_path / "m.zip").children() == (ONE,)


def write_both(root: Path) -> None:
    for name in (ONE, TWO):
        (root / name).mkdir(parents=True)


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    write_both(tmp_path / "m")
    for look in (open_tree(tmp_path / "m").children, lambda: find_named(tmp_path / "m", ONE)):
        with pytest.raises(InputError, match="'caf\u00e9' is there twice, in two Unicode normal forms"):
            look()


def test_two_members_and_two_keys_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr(f"{ONE}.png", b"1")
        archive.writestr(f"{TWO}.png", b"2")
    with pytest.raises(InputError, match="caf\u00e9\\.png is in the archive twice"):
        open_tree(tmp_path / "m.zip")
    with pytest.raises(InputError, match="f:2: 'cafe\u0301' is given twice"):
        parse_json(json.dumps({ONE: 1, TWO: 2}, indent=0).replace("\n", "", 1).encode(), where="f")


def a_mask(step: int) -> np.ndarray:
    return index_map(step) == 1


def write_pictures(folder: Path, name: str) -> Path:
    return write_predictions(folder, {name: listed({name: "1"}, tuple(f"{name}{frame}" for frame in FRAMES))})


def write_zip_of_pictures(folder: Path, name: str) -> Path:
    files = list_files(write_pictures(folder, name))
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return folder / "m.zip"


def write_bare_zip_of_pictures(folder: Path, name: str) -> Path:
    return pack_without_flag(folder.parent / "bare.zip", list_files(write_pictures(folder, name)))


def as_run_lengths(name: str) -> dict[str, object]:
    rles = [coco.encode(np.asfortranarray(a_mask(step).astype(np.uint8))) for step in range(3)]
    rows = [{"size": list(SIZE), "counts": rle["counts"].decode()} for rle in rles]
    return {name: {"masks": {f"{name}{frame}": row for frame, row in zip(FRAMES, rows, strict=True)}}}


def write_run_lengths(folder: Path, name: str) -> Path:
    return write_json(folder / "m.json", {name: as_run_lengths(name)})


def write_folder_of_run_lengths(folder: Path, name: str) -> Path:
    return write_json(folder / f"{name}.json", as_run_lengths(name)).parent


def write_npz(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    logits = np.stack([np.where(a_mask(step), 3, -3) for step in range(3)]).astype(np.float32)
    np.savez(folder / name / f"{name}.npz", logits=logits, frames=np.array([f"{name}{frame}" for frame in FRAMES]))
    return folder


def write_dump(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    logits = torch.stack([torch.from_numpy(np.where(a_mask(step), 3.0, -3.0)) for step in range(3)]).float()
    torch.save({name: {name: {"mask_logits": logits, "class_info": [0.5] * 3}}}, folder / "m.pth")
    return folder / "m.pth"


SOURCES: dict[str, tuple[str, Callable[[Path, str], Path]]] = {
    "pictures": ("png", write_pictures),
    "pictures in an archive": ("png", write_zip_of_pictures),
    "pictures in an archive without the flag": ("png", write_bare_zip_of_pictures),
    "run lengths": ("rle", write_run_lengths),
    "a folder of run lengths": ("rle", write_folder_of_run_lengths),
    "npz": ("npz", write_npz),
    "a dump": ("dump", write_dump),
}


def write_data(root: Path, name: str) -> Dataset:
    frames = tuple(f"{name}{frame}" for frame in FRAMES)
    return open_dataset("ref-youtube-vos", write_ref_youtube_vos(root, {name: listed({name: "1"}, frames)}), "valid")


@pytest.mark.parametrize(("data", "masks"), [(ONE, TWO), (TWO, ONE), (TWO, TWO)], ids=["Mac masks", "Mac data", "both"])
@pytest.mark.parametrize(("form", "write"), SOURCES.values(), ids=SOURCES)
def test_masks_of_every_form_are_found(
    tmp_path: Path, form: str, write: Callable[[Path, str], Path], data: str, masks: str
) -> None:
    dataset = write_data(tmp_path / "data", data)
    source = open_source(form, write(tmp_path / "masks", masks))
    assert find_misfits(source, dataset.videos) == []
    (sequence,) = source.read(dataset.video(TWO))
    assert (sequence.video, sequence.expression, sequence.frames[0]) == (ONE, ONE, f"{ONE}00000")
    assert all(np.array_equal(mask, a_mask(step)) for step, mask in enumerate(sequence.masks()))


@pytest.mark.parametrize("where", ["JPEGImages", "Annotations", "both"])
def test_data_are_found_whose_folders_are_written_otherwise(tmp_path: Path, where: str) -> None:
    dataset = write_data(tmp_path / "data", ONE)
    for part in ("JPEGImages", "Annotations") if where == "both" else (where,):
        folder = tmp_path / "data/valid" / part
        for path in (*(folder / ONE).iterdir(), folder / ONE):
            path.rename(path.with_name(normalize("NFD", path.name)))
    dataset = open_dataset("ref-youtube-vos", tmp_path / "data", "valid")
    assert dataset.videos[0].read_frame(2).shape == (*SIZE, 3)
    result = score_dataset(dataset, write_pictures(tmp_path / "m", ONE))
    assert (result.j_and_f, result.missing, result.strays) == (1, (), ())


def test_groups_name_their_sentences_in_either_form(tmp_path: Path) -> None:
    dataset = write_data(tmp_path / "data", ONE)
    path = write_json(tmp_path / "groups.json", {TWO: [[TWO]]})
    assert read_group_file(path, dataset.videos) == {ONE: (Group((ONE,)),)}


@pytest.mark.parametrize("name", [ONE, TWO], ids=["no flag", "decomposed"])
def test_an_archive_that_servers_would_not_understand_is_not_valid(tmp_path: Path, name: str) -> None:
    dataset = write_data(tmp_path / "data", ONE)
    write_pictures(tmp_path / "x/Annotations", name)
    archive = pack_without_flag(tmp_path / "m.zip", list_files(tmp_path / "x"))
    (fault,) = check_submission(archive, dataset).faults
    assert "3 names not written in composed UTF-8 (NFC, flag bit 11)" in fault
