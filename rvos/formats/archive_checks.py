"""What is wrong with an archive that is to be submitted, one line for each kind of fault and place."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.coco_results import read_results
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.json_files import expect_object, parse_json
from rvos.files.trees import is_system_path, open_archive, read_member
from rvos.formats.archives import LARGEST_TEAM_FILE, TEAM_FILE, TOP_FOLDERS
from rvos.formats.dataset import Dataset
from rvos.formats.ref_davis17 import N_ANNOTATORS
from rvos.formats.samples import SAMPLE_FORMATS
from rvos.masks.mask_images import decode_with_mode
from rvos.videos import Video


def check_submission(path: Path, dataset: Dataset) -> list[str]:
    """Return what is wrong with an archive, in the order of its names; nothing means that it is complete and valid.

    Checked are: names and folder level, every expression and frame and nothing else, image mode, values, and size
    (of the images where the data set has them, else equal in a video).

    Raises:
        InputError: no whole zip archive.
    """
    if dataset.format in SAMPLE_FORMATS:
        return list(_find_sample_faults(path, dataset))
    with open_archive(path) as archive:
        return list(_find_faults(archive, dataset))


def _find_sample_faults(path: Path, dataset: Dataset) -> Iterator[str]:
    """Yield what is wrong with results in COCO's form."""
    try:
        results = dict(read_results(path))
    except InputError as error:
        yield str(error)
        return
    for video in dataset.videos:
        size = dataset.read_size(video)
        for expression in video.expressions:
            rows = results.pop((video.id, expression.id), ())
            if not rows:
                yield f"{video.id}/{expression.id}: no mask"
            for _, found in rows:
                if size is not None and found != size:
                    name = f"{video.id}/{expression.id}"
                    yield f"{name}: {found[0]} x {found[1]} pixels (H x W), expected {size[0]} x {size[1]}"
    for stray in results:
        yield f"{'/'.join(stray)}: not expected (another video or expression); leave it out"


def _find_faults(archive: zipfile.ZipFile, dataset: Dataset) -> Iterator[str]:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    expected = _list_expected(dataset)
    level = _find_backslashes(names) or _find_wrong_level(names, expected, dataset.format)
    if level:
        yield level
        return
    present = set(names)
    if len(present) != len(names):
        repeated = Counter(names).most_common(1)[0][0]
        yield f"{repeated}: in the archive twice; write each mask once"
    yield from _find_strays(names, expected)
    if TEAM_FILE in present:
        yield from _find_bad_team(archive)
    yield from _find_missing(present, expected, dataset)
    for video in dataset.videos:
        yield from _find_bad_masks(archive, video, dataset, expected, present)


def _find_backslashes(names: list[str]) -> str | None:
    named = [name for name in names if "\\" in name]
    if not named:
        return None
    return (
        f"{named[0]}: {len(named)} names hold backslashes, which servers do not take for folders; "
        "pack the archive again with a program that writes / between folders"
    )


def _find_bad_team(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield what is wrong with the description of the team, which some servers ask for beside the masks."""
    try:
        content = read_member(archive, TEAM_FILE, where=TEAM_FILE, most=LARGEST_TEAM_FILE)
        expect_object(parse_json(content, where=TEAM_FILE), where=TEAM_FILE)
    except InputError as error:
        yield str(error)


def _list_expected(dataset: Dataset) -> dict[str, str]:
    """Return the name of every file -> its video."""
    top = TOP_FOLDERS[dataset.format]
    expected: dict[str, str] = {}
    for video in dataset.videos:
        if dataset.format == "ref-davis17":
            folders = [f"anno_{number}/{video.id}" for number in range(N_ANNOTATORS)]
        else:
            folders = [f"{video.id}/{expression.id}" for expression in video.expressions]
        expected |= {f"{top}{folder}/{frame}.png": video.id for folder in folders for frame in video.frames}
    return expected


def _find_wrong_level(names: list[str], expected: dict[str, str], format: str) -> str | None:
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


def _find_strays(names: list[str], expected: dict[str, str]) -> Iterator[str]:
    for name in names:
        if name in expected or name == TEAM_FILE:
            continue
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
            yield f"{name}: unsafe name; write names below the top folder"
        elif is_system_path(name):
            yield f"{name}: left by the operating system; leave it out"
        else:
            yield f"{name}: not expected (another video, expression or frame); leave it out"


def _find_missing(present: set[str], expected: dict[str, str], dataset: Dataset) -> Iterator[str]:
    """Yield missing folders and files; a folder without any file is one line."""
    folders: dict[str, list[str]] = {}
    for name in expected:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    for folder, files in folders.items():
        missing = [file for file in files if f"{folder}/{file}" not in present]
        if len(missing) == len(files):
            yield f"{folder}: missing, all {len(files)} frames"
        elif missing:
            yield f"{folder}: missing {', '.join(missing)}"


def _find_bad_masks(
    archive: zipfile.ZipFile, video: Video, dataset: Dataset, expected: dict[str, str], present: set[str]
) -> Iterator[str]:
    size = dataset.read_size(video)
    for name in (name for name, owner in expected.items() if owner == video.id and name in present):
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
        fault = _find_bad_values(values, mode, dataset.format)
        if fault:
            yield f"{name}: {fault}"


def _find_bad_values(values: NDArray[np.uint8], mode: str, format: str) -> str | None:
    if format == "ref-davis17":
        return None if mode in ("P", "L") else f"image mode {mode}, expected palette indices (P)"
    if mode != "L":
        return f"image mode {mode}, expected 8-bit greyscale (L); write 0 and 255"
    highest = int(values.max())
    if highest in (0, 255) and int(values.sum(dtype=np.int64)) == highest * int(np.count_nonzero(values)):
        return None
    odd = min(set(np.unique(values).tolist()) - {0, 255})
    return f"value {odd}, expected only 0 and 255"
