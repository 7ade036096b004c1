"""An external program as a model: it gets a JSON file a video, and writes masks that are read like any import.

The program is started once for each worker and stays: it reads one line for each video, the path of the request, and
prints that line again when the masks are written (docs/own_model.md).
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from runners.outside import CommandModel
from rvos.errors import InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import expect_list, expect_object, read_json
from rvos.files.leftovers import is_abandoned, name_owned
from rvos.imports import open_source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

_FINISHED = "finished"
_REQUEST = "request.json"
_LONGEST_LINE = 1 << 16
_PATIENCE = 10.0
_SHOWN_LINES = 3
_SHOWN_WIDTH = 400
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
            request = place / _REQUEST
            write_atomically(request, self._describe(video, expressions, place / "masks"))
            (place / "masks").mkdir(exist_ok=True)
            self._program.ask(request, video=video.id, timeout=self._model.timeout)
            write_atomically(place / _FINISHED, b"")
        try:
            sequences = _read(place / "masks", video, self._model)
        except InputError:
            # Half-written files must not stop a program that keeps those that it finds.
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)
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


class Program:
    """A process, started by `words`, that answers line by line; `log` gets its standard error and its other lines."""

    def __init__(self, words: Sequence[str], *, folder: Path, log: Path) -> None:
        self._words, self._folder, self._log = words, folder, log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def ask(self, request: Path, *, video: str, timeout: float | None) -> None:
        """Wait until the program has printed the path of a request again.

        Raises:
            InputError: it cannot be started, ended, or took longer than `timeout` seconds.
        """
        process = self._start()
        assert process.stdin is not None
        before = self._log.stat().st_size
        with suppress(OSError):  # it ended already, which shows below
            process.stdin.write(f"{request}\n")
            process.stdin.flush()
        try:
            self._wait(process, request, video=video, timeout=timeout, before=before)
        except BaseException:
            # Also where this process is to end: the program must not compute on for nobody.
            self.close()
            raise

    def _wait(
        self, process: subprocess.Popen[str], request: Path, *, video: str, timeout: float | None, before: int
    ) -> None:
        latest = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=None if latest is None else max(0.0, latest - time.monotonic()))
            except queue.Empty:
                raise InputError(self._explain(video, f"took longer than {timeout:g} s", before)) from None
            if line is None:
                raise InputError(self._explain(video, f"ended with status {_end(process)}", before))
            if line.strip() == str(request):
                return

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._finalizer.detach()  # so that nothing else that gets its number later is ended for it
            _end(self._process, patience=0)
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        if self._process is not None:
            return self._process
        self._lines = queue.Queue()
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._words,
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    encoding="utf-8",
                    # A path may hold bytes that are no UTF-8.
                    errors="surrogateescape",
                    # Of its own, so that it ends with whatever it has started.
                    start_new_session=True,
                )
        except OSError as error:
            if error.filename == str(self._log):
                raise StoreError(
                    f"{self._log}: cannot be written ({error.strerror}); choose another workspace"
                ) from None
            raise InputError(f"{shlex.join(self._words)}: cannot be started ({error.strerror}); check it") from None
        threading.Thread(target=_collect, args=(process.stdout, self._lines, self._log), daemon=True).start()
        threading.Thread(target=_end_group, args=(process,), daemon=True).start()
        # Also at the end of this process. Killed, it leaves the program without input, which ends it too.
        self._finalizer = weakref.finalize(self, _end, process, patience=_PATIENCE)
        self._process = process
        return process

    def _explain(self, video: str, what: str, before: int) -> str:
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(before, os.fstat(stream.fileno()).st_size - _LONGEST_LINE))
                said = stream.read().decode("utf-8", "replace")
        except OSError:
            said = ""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = " | ".join(lines[-_SHOWN_LINES:])[-_SHOWN_WIDTH:] or "it said nothing"
        return f"{video}: {shlex.join(self._words)} {what}: {last}; all that it said is in {self._log}"


def _collect(stream: IO[str], lines: queue.Queue[str | None], log: Path) -> None:
    """Hand on what the program prints; what is no request of ours is kept beside its standard error."""
    with stream:
        # Never more at once than a line may have: progress bars and binary output have no line ends.
        while line := stream.readline(_LONGEST_LINE):
            if line.strip().endswith(_REQUEST):
                lines.put(line)
            else:
                with suppress(OSError), log.open("a", encoding="utf-8", errors="surrogateescape") as kept:
                    kept.write(line)
    lines.put(None)


def _end(process: subprocess.Popen[str], *, patience: float = _PATIENCE) -> int:
    """End a program with all that it started, and return its status; it has some seconds to end by itself."""
    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        if patience:
            process.wait(patience)
    # Even where it has ended already: the thread that ends its group may not have come to it yet.
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _end_group(process: subprocess.Popen[str]) -> None:
    """End what a program has started as soon as it ends itself; it may live on, and hold the program's output open."""
    process.wait()
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(folder: Path, video: Video, model: CommandModel) -> list[MaskSequence]:
    """Return the masks in a folder, with the scores beside pictures."""
    if model.masks == "rle":
        return list(open_source("rle", folder).read(video))
    sequences = open_source(model.masks, folder, soft=model.keep_soft).read(video)
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
            raise InputError(f"{path}: {name}: give {video.n_frames} finite numbers, one a frame")
        found[name] = np.array(numbers, np.float32)
    return found
