"""Groups that masks decided, gathered for review: a table with the doubtful ones first, and a file to correct."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import InputError, StoreError, explain
from rvos.files.atomic import write_atomically
from rvos.files.json_files import read_json
from rvos.ids import unescape_path
from rvos.masks.stored.index import Names
from rvos.masks.stored.store import Store

DOUBTFUL = 0.3
REVIEW_SUFFIX = ".groups.json"
_COLUMNS = ("confidence", "video", "expressions", "texts")


@dataclass(frozen=True, slots=True)
class ReviewedGroup:
    """A group of a video; `expressions` maps ids to texts."""

    video: str
    expressions: dict[str, str]
    confidence: float

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in self.expressions.values()):
            raise ValueError("a sentence that is no text")


def write_review(workspace: Path, nodes: Iterable[str], names: Names) -> tuple[Path, int] | None:
    """Write `groups.csv` and `groups.json`; return the table and how many groups are doubtful, None without groups.

    The JSON file has the form that `groups: {by: file, file: ...}` reads, so that it can be corrected and used.

    Args:
        nodes: what the last of these decided for a video is taken.
        names: of their results.
    """
    groups: list[ReviewedGroup] = []
    for video, path in _find_reviews(workspace, nodes, names).items():
        try:
            rows = read_json(path)
            groups += [ReviewedGroup(video, dict(row["expressions"]), float(row["confidence"])) for row in rows]
        except (InputError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path}: cannot be read ({explain(error)}); delete it and the fusions of this video"
            ) from None
    if not groups:
        return None
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    for group in sorted(groups, key=lambda group: group.confidence):
        texts = " | ".join(group.expressions.values())
        writer.writerow([f"{group.confidence:.3f}", group.video, " ".join(group.expressions), texts])
    table = workspace / "groups.csv"
    write_atomically(table, stream.getvalue().encode())
    by_video: dict[str, list[list[str]]] = {}
    for group in groups:
        by_video.setdefault(group.video, []).append(list(group.expressions))
    write_atomically(workspace / "groups.json", json.dumps(by_video, indent=1).encode())
    return table, sum(group.confidence < DOUBTFUL for group in groups)


def _find_reviews(workspace: Path, nodes: Iterable[str], names: Names) -> dict[str, Path]:
    """Return the file of each video that has groups, sorted."""
    store, of_node = Store(workspace), defaultdict[str, list[tuple[str, str]]](list)
    for (node, video), name in names.items():
        of_node[node].append((video, name))
    # Workspaces of before have one for all nodes and settings.
    found = {unescape_path(path.stem): path for path in (workspace / "groups").glob("[!.]*.json")}
    for node in nodes:
        for video, name in of_node[node]:
            path = store.folder(node, video) / f"{name}{REVIEW_SUFFIX}"
            if os.path.lexists(path):
                found[video] = path
    return dict(sorted(found.items()))
