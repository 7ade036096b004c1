"""What is wrong with an archive that is to be submitted, one line for each kind of fault and place."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.files.archives import read_member
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.json_files import expect_object, parse_json
from rvos.files.names import is_system_path
from rvos.formats.archives.layout import LARGEST_TEAM_FILE, TEAM_FILE
from rvos.masks.mask_images import decode_with_mode
from rvos.settings import count

JudgeValues = Callable[[str, NDArray[np.uint8], str], str | None]


def find_faults(
    archive: zipfile.ZipFile, dataset: Dataset, expected: Mapping[str, str], judge: JudgeValues
) -> Iterator[str]:
    """Yield what is wrong with an archive of images, in the order of its names.

    Args:
        expected: name of every file -> its video.
        judge: says what is wrong with the pixels of a file, given its name, values and Pillow's mode.
    """
    names = [name for name in archive.namelist() if not name.endswith("/")]
    level = _find_backslashes(names) or _find_wrong_level(names, expected, dataset.format)
    if level:
        yield level
        return
    yield from _find_spelling(archive)
    present = set(names)
    if len(present) != len(names):
        repeated = Counter(names).most_common(1)[0][0]
        yield f"{repeated}: in the archive twice; write each mask once"
    yield from _find_strays(names, expected)
    if TEAM_FILE in present:
        yield from _find_bad_team(archive)
    yield from _find_missing(present, expected)
    by_video: dict[str, list[str]] = {}
    for name, owner in expected.items():
        if name in present:
            by_video.setdefault(owner, []).append(name)
    for video in dataset.videos:
        yield from _find_bad_masks(archive, by_video.get(video.id, ()), dataset.read_size(video), judge)


def _find_backslashes(names: list[str]) -> str | None:
    named = [name for name in names if "\\" in name]
    if not named:
        return None
    return (
        f"{named[0]}: backslashes in {count(len(named), 'name')}, which servers do not take for folders; "
        "pack the archive again with a program that writes / between folders"
    )


def _find_spelling(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield that names are read here which a server that compares bytes does not find."""
    odd = [info.filename for info in archive.infolist() if not info.filename.isascii() and _is_respelt(info)]
    if odd:
        yield (
            f"{odd[0]}: {count(len(odd), 'name')} not written in composed UTF-8 (NFC, flag bit 11), as "
            "servers look for them; write the archive with rvos submit"
        )


def _is_respelt(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename != info.filename


def _find_bad_team(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield what is wrong with the description of the team, which some servers ask for beside the masks."""
    try:
        content = read_member(archive, TEAM_FILE, where=TEAM_FILE, most=LARGEST_TEAM_FILE)
        expect_object(parse_json(content, where=TEAM_FILE), where=TEAM_FILE)
    except InputError as error:
        yield str(error)


def _find_wrong_level(names: list[str], expected: Mapping[str, str], format: str) -> str | None:
    """Return what is wrong when nothing lies where it should but much lies elsewhere."""
    names = [name for name in names if not is_system_path(name) and name != TEAM_FILE]
    if not names:
        return "the archive holds no masks; write the masks into it"
    if any(name in expected for name in names):
        return None
    wanted = next(iter(expected), "")
    tails = {"/".join(PurePosixPath(name).parts[-3:]) for name in names}
    if any("/".join(PurePosixPath(name).parts[-3:]) in tails for name in expected):
        return f"wrong folder level: {names[0]}, expected names such as {wanted}; pack the right folder"
    return f"no mask of this split: {names[0]}, expected names such as {wanted}; check split and {format} layout"


def _find_strays(names: list[str], expected: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        if name in expected or name == TEAM_FILE:
            continue
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
            yield f"{name}: unsafe name; write names below the top folder"
        elif is_system_path(name):
            yield f"{name}: left by the operating system; leave it out"
        else:
            yield f"{name}: not expected (another video, expression or frame); leave it out"


def _find_missing(present: set[str], expected: Mapping[str, str]) -> Iterator[str]:
    """Yield missing folders and files; a folder without any file is one line."""
    folders: dict[str, list[str]] = {}
    for name in expected:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    for folder, files in folders.items():
        missing = [file for file in files if f"{folder}/{file}" not in present]
        if len(missing) == len(files):
            yield f"{folder}: missing, all {count(len(files), 'frame')}"
        elif missing:
            yield f"{folder}: missing {', '.join(missing)}"


def _find_bad_masks(
    archive: zipfile.ZipFile, names: Iterable[str], size: tuple[int, int] | None, judge: JudgeValues
) -> Iterator[str]:
    """Yield what is wrong with the images of a video; without a known size (H, W), that of the first counts."""
    for name in names:
        try:
            content = read_member(archive, name, where=name, most=LARGEST_IMAGE_FILE)
            values, mode = decode_with_mode(content, where=name)
        except InputError as error:
            yield str(error)
            continue
        found = (values.shape[0], values.shape[1])
        size = size or found
        if found != size:
            yield f"{name}: {found[0]} x {found[1]} pixels (H x W), expected {size[0]} x {size[1]}"
        fault = judge(name, values, mode)
        if fault:
            yield f"{name}: {fault}"
