"""An external program as a model: it gets a JSON file a video, and writes masks that are read like any import.

The program is started once for each worker and stays: it reads one line for each video, the path of the request, and
prints that line again when the masks are written (docs/own_model.md).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from runners.outside import CommandModel
from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import expect_list, expect_object, read_json
from rvos.files.leftovers import is_abandoned, name_owned
from rvos.ids import list_paths
from rvos.imports import open_source
from rvos.masks.mask_sequences import MaskSequence
from rvos.programs.process import REQUEST, Program
from rvos.settings import count
from rvos.videos import Expression, Video

_FINISHED = "finished"
_LARGEST = float(np.finfo(np.float32).max)


class CommandRunner:
    """A program that stays between videos; it is started with the first one that needs it.

    Args:
        folder: of the recipe, where the program runs.
        place: of the workspace: requests, masks that are not read yet, and what the program says.
        device: as the command line has it, handed on.
    """

    def __init__(self, model: CommandModel, *, folder: Path, place: Path, device: str) -> None:
        self._model, self._place, self._device = model, place, device
        log = place / f"standard_error.{os.uname().nodename}.{os.getpid()}.txt"
        self._program = Program(model.command, folder=folder, log=log)

    def segment(self, video: Video, expressions: Sequence[Expression], *, key: str) -> list[MaskSequence]:
        """Return the masks of all expressions; what a killed run left under another `key` of the settings is of no use.

        Raises:
            InputError: the program ended, took too long, or its masks cannot be used.
        """
        place = self._take_place(video.id, key)
        if not (place / _FINISHED).exists():
            request = place / REQUEST
            write_atomically(request, self._describe(video, expressions, place / "masks"))
            (place / "masks").mkdir(exist_ok=True)
            self._program.ask(request, where=video.id, timeout=self._model.timeout)
            write_atomically(place / _FINISHED, b"")
        try:
            sequences = _read(place / "masks", video, self._model)
        except InputError:
            # Half-written files must not stop a program that keeps those that it finds.
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)
        # A process of a killed run may have lived on for a moment when this one began.
        for other in list(place.parent.glob("*")):
            with suppress(OSError):
                if is_abandoned(other):
                    shutil.rmtree(other)
        with suppress(OSError):  # another run is at the same video
            place.parent.rmdir()
        return sequences

    def _describe(self, video: Video, expressions: Sequence[Expression], masks: Path) -> bytes:
        if video.clip_frames is not None:
            raise InputError(f"{video.image_paths[0]}: a program reads images, no video file; import its masks instead")
        content = {
            "video": video.id,
            "frames": [
                {"name": name, "image": os.path.abspath(path)}
                for name, path in zip(video.frames, video.image_paths, strict=True)
            ],
            "size": list(video.read_size()),
            "expressions": [{"id": expression.id, "text": expression.text} for expression in expressions],
            "out": str(masks),
            "checkpoint": None if self._model.checkpoint is None else str(self._model.checkpoint),
            "options": dict(self._model.options),
            "device": self._device,
        }
        # Escapes alone: a path may hold bytes that are no UTF-8.
        return json.dumps(content, indent=1).encode()

    def _take_place(self, video: str, key: str) -> Path:
        """Return a folder of this process's own; what a killed run left of the same settings lies in it."""
        place = self._place / video / name_owned(key)
        for other in list(place.parent.glob("*")):
            with suppress(OSError):  # another run was faster
                if other == place or not is_abandoned(other):
                    continue
                if other.name.startswith(f"{key}.") and not place.exists():
                    other.rename(place)
                else:
                    shutil.rmtree(other)
        return place


def _read(folder: Path, video: Video, model: CommandModel) -> list[MaskSequence]:
    """Return the masks in a folder, with the scores beside pictures."""
    if model.masks == "rle":
        return list(open_source("rle", folder).read(video))
    sequences = open_source(model.masks, folder, soft=model.keep_soft, paths=list_paths([video.id])).read(video)
    scores = _read_scores(folder / "scores.json", video)
    return [
        replace(one, scores=scores[one.expression], scored=True) if one.expression in scores else one
        for one in sequences
    ]


def _read_scores(path: Path, video: Video) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Return the scores of expressions, `{video: {expression: [one a frame]}}`; none where there is no file."""
    if not path.exists():
        return {}
    content = expect_object(expect_object(read_json(path), where=str(path)).get(video.id), where=f"{path}: {video.id}")
    found = {}
    for name, values in content.items():
        numbers = expect_list(values, where=f"{path}: {name}")
        if len(numbers) != video.n_frames or not all(
            type(one) in (int, float) and abs(one) <= _LARGEST for one in numbers
        ):
            raise InputError(f"{path}: {name}: give {count(video.n_frames, 'finite number')}, one a frame")
        found[name] = np.array(numbers, np.float32)
    return found
