"""Writing synthetic videos in the shape of ReVOS: ids that are paths, sentences that refer, ask, or mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.evaluation.protocols.revos import KINDS, NO_TARGET, REASONING, REFERRING
from rvos.files.atomic import write_atomically
from rvos.formats.revos import FOREGROUND, MASKS, SENTENCES
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers import mixed_sentences
from rvos_fusion.synthetic.writers.files import (
    choose_videos,
    count_entries,
    frame_names,
    to_json,
    write_frames,
    writing,
)

_PLACE = "shapes/drawn"
_SPLITS = ("train", "valid")
_ASKED = 3
"""One sentence in so many is a question."""


def write_revos(
    root: Path,
    *,
    seed: int,
    n_videos: int,
    split: str = "valid",
    no_target: float = mixed_sentences.NO_TARGET,
    hard: float = mixed_sentences.HARD,
) -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    Args:
        no_target, hard: as in `write_mevis`.

    Raises:
        ConfigError: another split than train and valid.
        InputError: fewer than one video, a share out of range, or a folder that cannot be written.
    """
    if split not in _SPLITS:
        raise ConfigError(f"{root}: ReVOS has no split {split}; choose {' or '.join(_SPLITS)}")
    if not 0 <= no_target < 1 or not 0 <= hard <= 1:
        raise InputError(f"{root}: no_target {no_target}, hard {hard}; give 0 to below 1, and 0 to 1")
    order = choose_videos(root / "JPEGImages" / _PLACE, seed=seed, n_videos=n_videos)
    mixer = mixed_sentences.Mixer(seed, n_videos, no_target=no_target, hard=hard)
    expressions: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    foreground: dict[str, Any] = {}
    with writing(root):
        for index in order:
            video = make_video(seed, index)
            name, frames = f"{_PLACE}/{video.id}", frame_names(index, len(video.frames))
            write_frames(root, video, frames, place=_PLACE)
            first = len(masks)
            objects = range(1, len(video.categories) + 1)
            masks |= {str(first + one - 1): mixed_sentences.encode_object(video, one) for one in objects}
            lines = mixer.mix(video, index)
            height, width = video.index_masks.shape[1:]
            expressions[name] = {
                "expressions": {
                    str(number): _describe(number, one.text, one.places, first) for number, one in enumerate(lines)
                },
                "frames": list(frames),
                "height": height,
                "width": width,
                "vid_id": index,
            }
            meant = sorted({place for one in lines for place in one.places})
            foreground[name] = _unite(video.index_masks, [place + 1 for place in meant])
    write_atomically(root / MASKS, to_json(masks))
    write_atomically(root / FOREGROUND, to_json(foreground))
    write_atomically(root / SENTENCES.format(split=split), to_json({"videos": expressions}))
    return count_entries(expressions)


def _describe(number: int, text: str, places: list[int], first: int) -> dict[str, Any]:
    """Return the entry of a sentence; annotation `first + k` is the object k + 1 of the video."""
    kind = NO_TARGET if not places else REASONING if number % _ASKED == _ASKED - 1 else REFERRING
    return {
        "exp": f"{text}?" if kind == REASONING else text,
        "type_id": KINDS.index(kind),
        "obj_id": places,
        "anno_id": [first + place for place in places],
    }


def _unite(labels: NDArray[np.uint8], values: list[int]) -> dict[str, Any]:
    shown = np.isin(labels, values)
    return {
        "masks_rle": [mixed_sentences.encode_mask(mask) for mask in shown],
        "foreground_ratio": [float(mask.mean()) for mask in shown],
    }
