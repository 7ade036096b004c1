"""A program of another environment as an engine: a frame and perhaps a mask in, a mask out (docs/own_model.md).

What an object looked like is the program's to remember; it is told of each session by its name.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from propagate.engines.command.settings import CommandSettings
from propagate.engines.features import FeatureCache
from propagate.engines.inputs import take_masks
from propagate.engines.protocol import Augmentation, Step
from propagate.frames import Frame
from rvos.errors import InputError
from rvos.files.atomic import read_whole, write_atomically
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.leftovers import is_abandoned, name_owned
from rvos.masks.mask_images import decode_mask
from rvos.masks.png import encode_mask_pngs
from rvos.masks.runs import Runs
from rvos.programs.process import REQUEST, Program


def load_engine(settings: CommandSettings, *, device: torch.device, place: Path | None) -> CommandEngine:
    """Return the engine; its program is started with the first frame.

    Args:
        place: folder for requests, and for what the program says; None: a temporary one.
    """
    return CommandEngine(settings, device=device, place=place or Path(tempfile.gettempdir()))


class CommandEngine:
    """A program that stays between videos; every expression has a session of its own with it."""

    def __init__(self, settings: CommandSettings, *, device: torch.device, place: Path) -> None:
        self.augmentations = (Augmentation(1.0, mirrored=False),)
        self.carries_memory = False
        self.features = FeatureCache(0)
        self.device = device
        self._settings = settings
        # Of this engine alone: one loaded before under the same name takes its folder along when it is collected.
        self._place = place / name_owned(f"engine-{settings.name}-{secrets.token_hex(4)}")
        log = place / f"standard_error.{self._place.name}.txt"
        self._program = Program(settings.command, folder=settings.folder, log=log)
        self._numbers = itertools.count()
        self._ended: list[str] = []
        self._written: tuple[Path, int] | None = None

    def read(self, frame: Frame, augmentation: Augmentation) -> Frame:
        """Return the frame itself: what a program sees in it is its own."""
        return frame

    def open(self) -> CommandSession:
        """See `Engine`."""
        return CommandSession(self)

    def name_memory(self, owner: object) -> str:
        """Return a new name for the memory of an object; the program hears when its owner is gone."""
        name = str(next(self._numbers))
        weakref.finalize(owner, self._ended.append, name).atexit = False
        return name

    def ask(self, frame: Frame, memory: str, given: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Return the mask `(H, W)` of an object in a frame.

        Args:
            memory: its name.
            given: the mask, where the object starts from this frame.

        Raises:
            InputError: the program ended, took too long, or wrote no mask of the frame's size.
        """
        if not self._place.exists():
            self._prepare()
        ended, self._ended[:] = list(self._ended), []
        mask, out = self._place / "given.png", self._place / "mask.png"
        out.unlink(missing_ok=True)
        if given is not None:
            write_atomically(mask, encode_mask_pngs(Runs.from_masks(given[None]))[0])
        content = {
            "memory": memory,
            "ended": ended,
            "image": self._show(frame),
            "size": list(frame.size),
            "mask": None if given is None else str(mask),
            "out": str(out),
            "checkpoint": None if self._settings.checkpoint is None else str(self._settings.checkpoint),
            "device": str(self.device),
        }
        write_atomically(self._place / REQUEST, json.dumps(content, indent=1).encode())
        self._program.ask(self._place / REQUEST, where=str(frame.path), timeout=self._settings.timeout)
        return given if given is not None else self._read_mask(out, frame)

    def _prepare(self) -> None:
        """Make a folder of this process's own, and remove those of ended ones."""
        for other in self._place.parent.glob(f"engine-{self._settings.name}-*"):
            with suppress(OSError):  # another run was faster
                if is_abandoned(other):
                    shutil.rmtree(other)
        self._place.mkdir(parents=True)
        weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)

    def _show(self, frame: Frame) -> str:
        """Return the path of an image of the frame; that of a clip is written, once for all expressions in turn."""
        if frame.is_image:
            return os.path.abspath(frame.path)
        path = self._place / "frame.png"
        if self._written != frame.source:
            Image.fromarray(frame.pixels()).save(path)
            self._written = frame.source
        return str(path)

    def _read_mask(self, path: Path, frame: Frame) -> NDArray[np.bool_]:
        advice = f"mend {Path(self._settings.command[-1]).name}"
        if not path.is_file():
            raise InputError(f"{frame.path}: engine {self._settings.name} wrote no mask of this frame; {advice}")
        where = f"{frame.path}: mask by engine {self._settings.name}"
        mask = decode_mask(read_whole(path, most=LARGEST_IMAGE_FILE), where=where)
        if mask.shape != frame.size:
            raise InputError(f"{where}: size {mask.shape}, expected that of the frame, {frame.size}; {advice}")
        return mask


class CommandSession:
    """A batch of expressions, each with a memory of its own in the program."""

    def __init__(self, engine: CommandEngine) -> None:
        self._engine = engine
        self._memories: list[str] = []

    def start(self, features: Sequence[Frame], *, masks: Tensor | None = None, boxes: Tensor | None = None) -> Step:
        """See `Session`."""
        given = take_masks(masks, boxes, torch.device("cpu"), networks="programs start")
        if not self._memories:
            self._memories = [self._engine.name_memory(self) for _ in given]
        return self._ask(features, list(given.numpy()))

    def step(self, features: Sequence[Frame]) -> Step:
        """See `Session`."""
        return self._ask(features, [None] * len(self._memories))

    def commit(self, masks: Tensor) -> None:
        """See `Session`: the program remembers its own masks, which are those decided for."""

    def _ask(self, features: Sequence[Frame], given: Sequence[NDArray[np.bool_] | None]) -> Step:
        (frame,) = features
        pairs = zip(self._memories, given, strict=True)
        masks = torch.from_numpy(np.stack([self._engine.ask(frame, memory, mask) for memory, mask in pairs]))
        masks = masks.to(self._engine.device)
        return Step(masks.float(), masks)
