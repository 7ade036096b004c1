"""Submissions: one deterministic zip archive in the layout of a data set, and the check of any archive.

Source: datasets.md, sections 1 to 3.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from rvos.dataset import Dataset
from rvos.files.archives import make_entry, open_archive, refuse_bombs
from rvos.files.atomic import read_whole, replacing
from rvos.files.json_files import expect_object, parse_json
from rvos.formats.archives.layout import LARGEST_TEAM_FILE, TEAM_FILE, Audit, ReadVideo
from rvos.formats.table import find_format


def write_submission(path: Path, dataset: Dataset, read: ReadVideo, *, team: bytes | None = None) -> int:
    """Write the archive in one step and return its number of masks; the same masks always give the same bytes.

    Args:
        read: returns the sequences of a video; called once for each, in the order of the data set.
        team: content of the `team.json` that servers ask for; None: without.

    Raises:
        InputError: a video lacks an expression, or its masks do not fit the frame list.
        StoreError: a result is missing, or the archive cannot be written.
    """
    layout = find_format(dataset.format).archive
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        n_masks = layout.write(archive, dataset, read)
        if team is not None:
            archive.writestr(make_entry(TEAM_FILE), team)
    return n_masks


def check_submission(path: Path, dataset: Dataset) -> Audit:
    """Return what is wrong, and which sentences are empty in every frame.

    Raises:
        InputError: no whole zip archive, or one that is made to fill the memory.
    """
    with open_archive(path) as archive:
        refuse_bombs(archive, where=str(path))
    return find_format(dataset.format).archive.audit(path, dataset)


def read_team(path: Path) -> bytes:
    """Return a file that is to be the archive's `team.json`. Raises InputError: missing, too large, no JSON object."""
    content = read_whole(path, most=LARGEST_TEAM_FILE)
    expect_object(parse_json(content, where=str(path)), where=str(path))
    return content
