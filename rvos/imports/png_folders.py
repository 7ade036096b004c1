"""Folders of masks `<video>/<expression>/<frame>.png`, alone or in the layout of the 2023 release.

Source: fusion_recipe.md, section 5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rvos.errors import InputError
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.json_files import expect_object, read_json
from rvos.files.trees import list_masks, name_mask, open_masks
from rvos.imports.source import PictureSource, check_mask_size, score_presence
from rvos.masks.mask_images import decode_mask
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.videos import Expression, Video

_KEY_FRAMES = "key_frame.json"


@dataclass(frozen=True, slots=True)
class PngSource(PictureSource):
    """Binary masks as pictures; key frames by video and expression, where the source has any."""

    key_frames: Mapping[str, Mapping[str, int]]

    def sample(self, video: Video) -> tuple[MaskSequence, ...]:
        """Those of the first frame; the key frames of all are looked at."""
        for expression in video.expressions:
            self._find_key_frame(video, expression)
        return PictureSource.sample(replace(self, key_frames={}), video)

    def _read_expression(self, video: Video, expression: Expression, size: tuple[int, int] | None) -> MaskSequence:
        folder = self.masks.below(video.id).below(expression.id)
        runs: list[bytes] = []
        empty: list[bool] = []
        masks = list_masks(folder)
        for frame in video.frames:
            if self.fills and frame not in masks:
                runs.append(b"")
                empty.append(True)
                continue
            name = masks.get(frame, name_mask(frame))
            where = f"{folder.name}/{name}"
            mask = decode_mask(folder.read(name, most=LARGEST_IMAGE_FILE), where=where)
            size = check_mask_size((mask.shape[0], mask.shape[1]), size, where=where)
            runs += encode(mask[None])
            empty.append(not mask.any())
        assert size is not None
        black = encode(np.zeros((1, *size), np.bool_))[0]
        key_frame = self._find_key_frame(video, expression)
        return MaskSequence(
            video.id,
            expression.id,
            video.frames,
            size,
            tuple(one or black for one in runs),
            score_presence(empty),
            key_frame,
            scored=False,
        )

    def _find_key_frame(self, video: Video, expression: Expression) -> int | None:
        if not self.key_frames:
            return None
        index = self.key_frames.get(video.id, {}).get(expression.id)
        where = f"{self.masks.name}: {_KEY_FRAMES}: {video.id}/{expression.id}"
        if index is None:
            raise InputError(f"{where}: missing; add it or remove the file")
        if not 0 <= index < video.n_frames:
            raise InputError(f"{where}: frame {index} of {video.n_frames}; it is an index into the frame list")
        return index


def open_png_folder(path: Path, paths: frozenset[str] = frozenset()) -> PngSource:
    """Return a folder of videos, or what holds `Annotations`, as a source. Raises InputError: none, or bad files.

    Args:
        paths: ids of videos that are paths.
    """
    masks = open_masks(path, paths)
    places = (path / _KEY_FRAMES, path.parent / _KEY_FRAMES)
    beside = places if path.name.startswith("Annotations") else places[:1]
    found = next((place for place in beside if os.path.lexists(place)), None)
    return PngSource(masks, read_key_frames(found) if found else {}, paths=paths)


def read_key_frames(path: Path) -> dict[str, dict[str, int]]:
    """Return key frames of `{video: {expression: {"index_info": {"class_index": k}}}}`; InputError for other forms."""
    content = expect_object(read_json(path), where=str(path))
    return {
        video: {
            name: _read_index(entry, where=f"{path}: {video}/{name}")
            for name, entry in expect_object(entries, where=f"{path}: {video}").items()
        }
        for video, entries in content.items()
    }


def _read_index(entry: object, *, where: str) -> int:
    info = expect_object(expect_object(entry, where=where).get("index_info"), where=f"{where}: index_info")
    index = info.get("class_index")
    if type(index) is not int:
        raise InputError(f"{where}: class_index {ascii(index)[:40]} is no whole number; correct it")
    return index
