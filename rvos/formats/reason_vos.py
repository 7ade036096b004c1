"""ReasonVOS: for evaluation only, a folder of masks for each object, frames without one being left out of the score.

Each object of a video is a video here, `<source>_<video>_<object>`, as the folders of masks and of answers are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import ConfigError, InputError
from rvos.evaluation.protocols.reason_vos import LONG, SHORT, ReasonEvaluator
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.trees import FolderTree, Tree, list_masks, open_data
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.reading.expressions import ListedVideo, read_frames, read_object_id
from rvos.formats.reading.object_folders import ObjectFolders
from rvos.ids import check_id
from rvos.videos import Expression, Video

_FILES = ("meta_expressions.json", "meta_expressions_v2.json")
_IMAGES, _MASKS = "JPEGImages", "Annotations"


def open_split(root: Path, split: str) -> Dataset:
    """Return ReasonVOS. Raises ConfigError: a split other than test; InputError: files missing or unusable."""
    if split != "test":
        raise ConfigError(f"{root}: ReasonVOS is for evaluation only, it has no split {split}; say split: test")
    tree = open_data(root, known=frozenset({_IMAGES, _MASKS}))
    name = next((one for one in _FILES if tree.exists(one)), None)
    if name is None:
        raise InputError(f"{tree.name}: no {' and no '.join(_FILES)}; give the folder that holds one")
    annotations = tree.below(_MASKS) if tree.is_folder(_MASKS) else None
    place = tree.root if isinstance(tree, FolderTree) else root
    images = place / _IMAGES if tree.is_folder(_IMAGES) and isinstance(tree, FolderTree) else None
    videos = tuple(
        _annotate(_add_images(listed, video, images or place / _IMAGES), annotations)
        for video, listed in _read_listed(tree, name)
    )
    truth: SelectTruth | None = None
    if annotations is not None:
        truth = partial(ObjectFolders, annotations, place="{video}", has_images=images is not None)
    return Dataset("reason-vos", root, split, videos, images, truth, is_by_object=True)


def _read_listed(tree: Tree, name: str) -> Iterator[tuple[str, ListedVideo]]:
    """Yield the name of a video's images, and the sentences of one of its objects."""
    where = f"{tree.name}/{name}"
    content = expect_object(parse_json(tree.read(name), where=where), where=where)
    for video, value in expect_object(content.get("videos"), where=f"{where}: videos").items():
        own = f"{where}: {check_id(video, where=where, what='video')}"
        entry = expect_object(value, where=own)
        frames = read_frames(entry.get("frames"), where=f"{own}: frames")
        if "source" not in entry:
            raise InputError(f"{own}: no source, which every video of ReasonVOS has; check the format")
        source = check_id(entry.get("source"), where=own, what="source")
        by_object: dict[str, list[Expression]] = {}
        for sentence in _list_sentences(entry.get("expressions"), own):
            (obj,) = sentence.object_ids
            by_object.setdefault(obj, []).append(sentence)
        for obj, sentences in by_object.items():
            ids = [one.id for one in sentences]
            if len(set(ids)) != len(ids):
                raise InputError(f"{own}: object {obj} has two sentences of one exp_id; number them")
            yield video, ListedVideo(f"{source}_{video}_{obj}", frames, tuple(sentences))


def _list_sentences(value: object, where: str) -> Iterator[Expression]:
    """Yield the sentences of a list, or of an object by id as copies of the data set have it."""
    if isinstance(value, dict):
        entries = [(name, expect_object(one, where=f"{where}/{name}")) for name, one in value.items()]
    else:
        listed = expect_list(value, where=f"{where}: expressions")
        objects = [expect_object(one, where=f"{where}: expression {place}") for place, one in enumerate(listed)]
        entries = [(str(one.get("exp_id")), one) for one in objects]
    for name, entry in entries:
        yield _read_sentence(name, entry, f"{where}/{name}")


def _read_sentence(name: str, entry: Mapping[str, Any], where: str) -> Expression:
    check_id(name, where=where, what="expression")
    text = entry.get("exp_text", entry.get("exp"))
    if not isinstance(text, str) or "\0" in text:
        raise InputError(f"{where}: {ascii(text)[:60]} is no sentence; write one under exp_text")
    objects = read_object_id(entry, where)
    if len(objects) != 1:
        raise InputError(f"{where}: obj_id {ascii(entry.get('obj_id'))[:40]}, expected one object; correct it")
    check_id(objects[0], where=where, what="object")
    is_long = entry.get("is_sent")
    kind = "" if is_long is None else LONG if is_long else SHORT
    return Expression(name, text, objects, kind=kind)


def _add_images(listed: ListedVideo, name: str, images: Path) -> Video:
    """Return the video with the images of the one that its object is of."""
    return replace(replace(listed, id=name).with_images(images), id=listed.id)


def _annotate(video: Video, annotations: Tree | None) -> Video:
    """Return the video with the places of the frames that have masks, where some have none."""
    if annotations is None:
        return video
    present = list_masks(annotations.below(video.id))
    places = tuple(place for place, frame in enumerate(video.frames) if frame in present)
    return video if len(places) == video.n_frames else replace(video, annotated=places)


FORMAT = Format(
    name="reason-vos",
    title="ReasonVOS",
    read=open_split,
    evaluator=ReasonEvaluator,
    archive=MaskArchive(),
    default_split="test",
)
