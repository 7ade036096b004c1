"""DAVIS-2017 as it is distributed: sequences in folders, and the text files that name objects by sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rvos.errors import InputError
from rvos.files.trees import Tree, list_masks
from rvos.formats.reading.expressions import ListedVideo
from rvos.ids import check_id, compose_name
from rvos.videos import Expression

_ANNOTATIONS = ("DAVIS/Annotations_unsupervised/480p", "Annotations_unsupervised/480p", "")
_LISTS = ("DAVIS/ImageSets/2017", "ImageSets/2017")
_TEXT_FOLDERS = ("", "davis_text_annotations", "DAVIS/davis_text_annotations")
# One file for each of the four expressions of an object, with its encoding.
TEXT_FILES = (
    ("Davis17_annot1.txt", "utf-8"),
    ("Davis17_annot1_full_video.txt", "utf-8"),
    ("Davis17_annot2.txt", "latin-1"),
    ("Davis17_annot2_full_video.txt", "latin-1"),
)
_LINE = re.compile(r'(?P<video>\S+)\s+(?P<object>\d+)\s+"?(?P<text>.*?)"?\s*')
_CORRECTED = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}


def find_sequences(tree: Tree) -> Tree | None:
    """Return the folder whose children are folders of index maps; None without one."""
    for place in _ANNOTATIONS:
        folder = tree.below(place) if place else tree
        if any(_list_frames(folder, name) for name in folder.children()):
            return folder
    return None


def list_sequences(tree: Tree, sequences: Tree, split: str) -> tuple[ListedVideo, ...]:
    """Return a split's sequences, with expressions where text files are. Raises InputError: missing or unusable."""
    names = _read_list(tree, "val" if split == "valid" else split) or sequences.children()
    texts = _read_texts(tree)
    videos = []
    for name in names:
        name = check_id(name, where=sequences.name, what="video")
        frames = _list_frames(sequences, name)
        if not frames:
            raise InputError(f"{sequences.name}/{name}: no index maps; restore the sequence")
        videos.append(ListedVideo(name, frames, _make_expressions([sentences.get(name, {}) for sentences in texts])))
    return tuple(videos)


def _list_frames(folder: Tree, name: str) -> tuple[str, ...]:
    return tuple(sorted(list_masks(folder.below(name))))


def _read_list(tree: Tree, split: str) -> tuple[str, ...]:
    for place in _LISTS:
        if tree.exists(f"{place}/{split}.txt"):
            return tuple(tree.read(f"{place}/{split}.txt").decode("utf-8", "replace").split())
    return ()


def _read_texts(tree: Tree) -> list[dict[str, dict[str, str]]]:
    """Return video -> object -> sentence for each annotation file; nothing unless all four are there."""
    for place in _TEXT_FOLDERS:
        folder = tree.below(place) if place else tree
        if all(folder.exists(name) for name, _ in TEXT_FILES):
            return [_read_text_file(folder, name, encoding) for name, encoding in TEXT_FILES]
    return []


def _read_text_file(folder: Tree, name: str, encoding: str) -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = {}
    for number, line in enumerate(folder.read(name).decode(encoding, "replace").splitlines(), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.lstrip("\ufeff"))
        if found is None:
            raise InputError(f'{folder.name}/{name}:{number}: expected <video> <object> "<sentence>"; correct the line')
        video = _CORRECTED.get(found["video"], compose_name(found["video"]))
        texts.setdefault(video, {})[found["object"]] = found["text"]
    return texts


def _make_expressions(files: Sequence[dict[str, str]]) -> tuple[Expression, ...]:
    """Return the expressions of a video: `id = 4 * object + file`, objects sorted as text."""
    objects = sorted({name for sentences in files for name in sentences})
    return tuple(
        Expression(str(len(files) * position + number), sentences[name], (name,))
        for position, name in enumerate(objects)
        for number, sentences in enumerate(files)
        if name in sentences
    )
