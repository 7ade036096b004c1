"""Recorded verdicts as a judge: what another run was answered, without the model that answered."""

from __future__ import annotations

import json
from pathlib import Path

from runners.judges.base import Question
from runners.judges.record import find_verdicts
from runners.judges.settings import RecordedJudgeSettings
from rvos.errors import InputError


class RecordedJudge:
    """A folder of verdicts that is read and never written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def answer(self, question: Question) -> str:
        """See `Judge`. Raises InputError: nobody was asked this, or the answer could not be used."""
        found = find_verdicts(self._path, question)
        if found is None:
            raise InputError(f"{self._path}: nobody was asked this; ask the judge itself, or make the same sheets")
        if found.problem:
            raise InputError(found.problem)
        rows = [
            {"candidate": number, "verdict": one.word, "reason": one.reason} for number, one in found.verdicts.items()
        ]
        return json.dumps({"verdicts": rows})


def check(settings: RecordedJudgeSettings) -> None:
    """Raise an InputError where there is no such folder."""
    if not settings.path.is_dir():
        raise InputError(f"{settings.path}: no folder of verdicts; give one of those in verdicts/ of a workspace")


def build(settings: RecordedJudgeSettings, *, place: Path, device: str) -> RecordedJudge:
    """Return the judge."""
    check(settings)
    return RecordedJudge(settings.path)
