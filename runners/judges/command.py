"""A program as a judge: it gets a request with the sheet as a picture, and writes its answer as text.

It is started once for each worker and stays: it reads one line for each question, the path of the request, and prints
that line again when the answer is written (docs/own_model.md).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from PIL import Image

from runners.judges.answers import LONGEST_ANSWER, read_answer
from runners.judges.base import Question
from runners.judges.settings import CommandJudgeSettings
from rvos.errors import ConfigError, InputError
from rvos.files.atomic import read_whole, replacing, write_atomically
from rvos.programs.process import REQUEST, Program
from rvos.programs.words import explain_program

_KEY_LENGTH = 32
_GRACE, _PAUSE = 20.0, 0.1
"""Seconds in which a question under way may still be answered when a run is ended: answers may cost something."""


class CommandJudge:
    """A program that stays between questions; it is started with the first one.

    Args:
        place: of the workspace and of these settings: requests, answers that are not read yet, what the program says.
        device: as the command line has it, handed on.
    """

    def __init__(self, settings: CommandJudgeSettings, *, place: Path, device: str) -> None:
        self._settings, self._place, self._device = settings, place, device
        log = place / f"standard_error.{os.uname().nodename}.{os.getpid()}.txt"
        self._program = Program(settings.command, folder=settings.folder, log=log, grace=_GRACE)

    def answer(self, question: Question) -> str:
        """See `Judge`; an answer that a killed run did not come to read is read now."""
        place = self._place / question.content_hash()[:_KEY_LENGTH]
        request, out = place / REQUEST, place / "answer.txt"
        try:
            if not _was_answered(request, out, question):
                shutil.rmtree(place, ignore_errors=True)
                with replacing(place / "sheet.png") as path:
                    Image.fromarray(question.sheet).save(path, format="PNG")
                write_atomically(request, self._describe(question, place))
                where = f"{question.video}/{question.expression}"
                self._program.ask(request, where=where, timeout=self._settings.timeout)
            text = read_whole(out, most=LONGEST_ANSWER).decode("utf-8", "replace")
        except InputError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)
        return text

    def _describe(self, question: Question, place: Path) -> bytes:
        content = {
            "video": question.video,
            "expression": question.expression,
            "sheet": str(place / "sheet.png"),
            "question": question.text,
            "candidates": [
                {"number": number, "name": name} for number, name in zip(question.numbers, question.names, strict=True)
            ],
            "out": str(place / "answer.txt"),
            "checkpoint": None if self._settings.checkpoint is None else str(self._settings.checkpoint),
            "options": dict(self._settings.options),
            "device": self._device,
        }
        # Escapes alone: a path may hold bytes that are no UTF-8.
        return json.dumps(content, indent=1).encode()


def _was_answered(request: Path, out: Path, question: Question) -> bool:
    """Tell whether a run before this one got an answer, for which its program has some seconds left."""
    end = time.monotonic() + _GRACE
    while request.exists():
        try:
            read_answer(read_whole(out, most=LONGEST_ANSWER).decode("utf-8", "replace"), question.numbers)
        except InputError:  # none, or not written to its end
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
        else:
            return True
    return False


def check(settings: CommandJudgeSettings) -> None:
    """Raise a ConfigError where the program cannot be started, as far as shows."""
    if problem := explain_program(settings.command, settings.folder):
        raise ConfigError(problem)


def build(settings: CommandJudgeSettings, *, place: Path, device: str) -> CommandJudge:
    """Return the judge; its program is not started yet."""
    return CommandJudge(settings, place=place, device=device)
