"""The expression file `meta_expressions.json`, which names videos, frames and sentences of every data set."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.names import find_named, list_names
from rvos.files.trees import FolderTree, Tree
from rvos.ids import check_id, check_path, compose_name
from rvos.videos import Expression, Video

ObjectIds = Callable[[Mapping[str, Any], str], tuple[str, ...]]
ReadKind = Callable[[Mapping[str, Any], str], str]
# Of several files of a frame, the first of these; in any case of letters.
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """A video as the expression file lists it, in file order."""

    id: str
    frames: tuple[str, ...]
    expressions: tuple[Expression, ...]

    def with_images(self, folder: Path) -> Video:
        """Return the video whose frames are `folder/<video>/<frame>.jpg`, or `.jpeg` or `.png` where such files are."""
        own = find_named(folder, self.id)
        found = _list_images(own)
        paths = tuple(own / found.get(frame, f"{frame}.jpg") for frame in self.frames)
        return Video(self.id, self.frames, self.expressions, paths)


def find_images(
    root: Path, tree: Tree, names: Sequence[str], listed: Sequence[ListedVideo]
) -> tuple[Path | None, tuple[Video, ...]]:
    """Return the folder of a split's images, None where there are none, and the videos with their paths.

    Args:
        root: as the user gave it.
        names: of the folders that may hold them, below the data set's; the first one is meant where all are missing.
    """
    place = tree.root if isinstance(tree, FolderTree) else root
    folders = [place / name for name in names]
    images = _choose_folder(folders, listed)
    return images, tuple(video.with_images(images or folders[0]) for video in listed)


def _choose_folder(folders: Sequence[Path], videos: Sequence[ListedVideo]) -> Path | None:
    """Return the folder that has the most of the videos, of equal ones the first; None where none is there.

    Converters leave empty folders behind, which must not hide the full one.
    """
    best: Path | None = None
    most = -1
    for folder in folders:
        n_found = -1
        if os.path.isdir(folder):
            n_found = sum(1 for video in videos if _list_images(find_named(folder, video.id)))
        if n_found > most:
            best, most = folder, n_found
        if n_found == len(videos):
            break
    return best


def _list_images(folder: Path) -> dict[str, str]:
    """Return frame -> file name of the images in a folder; nothing where it cannot be read."""
    try:
        names = list_names(folder)
    except OSError:
        return {}
    found: dict[str, str] = {}
    for suffix in _IMAGE_SUFFIXES:
        for name in sorted(names):
            stem, given = os.path.splitext(name)
            if given.lower() == suffix:
                found.setdefault(stem, names[name])
    return found


def find_expression_file(tree: Tree, split: str) -> str:
    """Return the name of the expression file of a split. Raises InputError: none of the known places has one."""
    places = (
        f"meta_expressions/{split}/meta_expressions.json",
        f"{split}/meta_expressions.json",
        f"{split}/meta_expressions_v2.json",
        f"{split}/meta_expressions_v2_release.json",
        f"meta_expressions/{split}.json",
        f"meta_expressions_{split}.json",
        "meta_expressions.json",
    )
    for place in places:
        if tree.exists(place):
            return place
    raise InputError(f"{tree.name}: no expression file of split {split}; looked for {', '.join(places)}")


def has_expressions(tree: Tree, split: str) -> bool:
    """Return whether one of the known places has an expression file of a split."""
    try:
        return bool(find_expression_file(tree, split))
    except InputError:
        return False


def read_kind(entry: Mapping[str, Any], where: str) -> str:
    """Return the `kind` or `type` of an expression entry, which says what decides it; empty where it has neither."""
    kind = entry.get("kind", entry.get("type"))
    return kind if isinstance(kind, str) else ""


def read_expressions(
    tree: Tree,
    name: str,
    *,
    object_ids: ObjectIds | None = None,
    kind: ReadKind = read_kind,
    paths: bool = False,
) -> tuple[ListedVideo, ...]:
    """Return the videos of an expression file, in its order.

    Args:
        object_ids: reads the annotated objects of an expression entry; None: `obj_id`, text or number.
        kind: reads its kind.
        paths: whether ids of videos may be relative paths.

    Raises:
        InputError: missing, not JSON, ids unsafe or repeated, or an entry without what it needs.
    """
    where = f"{tree.name}/{name}"
    videos = _read_listed(tree, name)
    for video in videos:
        (check_path if paths else check_id)(video, where=where, what="video")
    return tuple(_read_videos(videos, where, object_ids or read_object_id, kind))


def list_video_ids(tree: Tree, name: str) -> frozenset[str]:
    """Return the ids of the videos of an expression file. Raises InputError: missing or not an expression file."""
    return frozenset(_read_listed(tree, name))


def _read_listed(tree: Tree, name: str) -> dict[str, Any]:
    where = f"{tree.name}/{name}"
    content = expect_object(parse_json(tree.read(name), where=where), where=where)
    return expect_object(content.get("videos"), where=f"{where}: videos")


def _read_videos(videos: Mapping[str, Any], path: str, object_ids: ObjectIds, kind: ReadKind) -> Iterator[ListedVideo]:
    for video, value in videos.items():
        entry = expect_object(value, where=f"{path}: {video}")
        if isinstance(entry.get("expressions"), list):
            raise InputError(f"{path}: {video}: a list of expressions, as ReasonVOS has it; write format: reason-vos")
        listed = expect_object(entry.get("expressions"), where=f"{path}: {video}: expressions")
        expressions = tuple(
            _read_expression(name, sentence, f"{path}: {video}/{name}", object_ids, kind)
            for name, sentence in listed.items()
        )
        yield ListedVideo(video, read_frames(entry.get("frames"), where=f"{path}: {video}: frames"), expressions)


def read_frames(value: object, *, where: str) -> tuple[str, ...]:
    """Return a list of frame names. Raises InputError: no list, empty, or names unsafe or repeated."""
    frames = tuple(check_id(frame, where=where, what="frame") for frame in expect_list(value, where=where))
    if not frames:
        raise InputError(f"{where}: empty list; drop the video or list its frames")
    if len(set(frames)) != len(frames):
        repeated = Counter(frames).most_common(1)[0][0]
        raise InputError(f"{where}: frame {repeated} is listed twice; keep one")
    return frames


def _read_expression(name: str, value: object, where: str, object_ids: ObjectIds, kind: ReadKind) -> Expression:
    check_id(name, where=where, what="expression")
    entry = expect_object(value, where=where)
    text = entry.get("exp")
    if not isinstance(text, str):
        raise InputError(f"{where}: no sentence under `exp`; add it")
    if "\0" in text:
        raise InputError(f"{where}: the sentence {ascii(text)[:60]} holds a zero byte; correct it")
    # Only an empty list says so; where the key is absent, the annotation is.
    return Expression(name, text, object_ids(entry, where), entry.get("anno_id") != [], kind(entry, where))


def read_object_id(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Return the objects of a Ref-YouTube-VOS expression, or none. Raises InputError: neither text nor number."""
    value = entry.get("obj_id")
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(_read_one(one, where) for one in value)
    return (_read_one(value, where),)


def _read_one(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"{where}: object id {ascii(value)[:60]} is neither text nor a whole number; correct it")
    return compose_name(str(value))


def read_annotation_ids(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Return the annotations of a MeViS expression, or none. Raises InputError: no list of numbers or texts."""
    value = entry.get("anno_id")
    if value is None:
        return ()
    return tuple(_read_one(one, where) for one in expect_list(value, where=f"{where}: anno_id"))
