"""A program as a judge: what a run that was ended or killed leaves is not asked again."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from runners.judges import command
from runners.judges.base import Question
from runners.judges.command import CommandJudge
from runners.judges.settings import CommandJudgeSettings
from rvos.errors import InputError

PROGRAM = Path(__file__).parents[2] / "judging_program.py"
QUESTION = Question("v", "0", (1,), ("a",), np.zeros((4, 4, 3), np.uint8), "which?")
WHOLE = json.dumps({"verdicts": [{"candidate": 1, "verdict": "reject", "reason": "of before"}]})


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandJudge:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_GRACE", 0.5)
    (tmp_path / "answers.json").write_text(json.dumps({"accept": ["a"]}))
    settings = CommandJudgeSettings("command", command=(sys.executable, str(PROGRAM)), beside=tmp_path, timeout=600)
    return CommandJudge(settings, place=tmp_path / "place", device="cpu")


def leave(content: str | None) -> Path:
    """Leave what a killed run had asked, and perhaps what its program wrote."""
    place = Path("place") / QUESTION.content_hash()[:32]
    place.mkdir(parents=True)
    (place / "request.json").write_text("{}")
    if content is not None:
        (place / "answer.txt").write_text(content)
    return place


def asked() -> int:
    return len(Path("asked.txt").read_text().split()) if Path("asked.txt").exists() else 0


def test_the_answer_is_read_and_nothing_is_left(judge: CommandJudge) -> None:
    assert '"accept"' in judge.answer(QUESTION)
    assert asked() == 1
    assert [path.name for path in Path("place").iterdir() if path.is_dir()] == []


def test_an_answer_that_nobody_read_is_not_asked_for_again(judge: CommandJudge) -> None:
    leave(WHOLE)
    assert judge.answer(QUESTION) == WHOLE
    assert asked() == 0


def test_a_program_of_a_killed_run_may_still_finish(judge: CommandJudge) -> None:
    place = leave(None)
    timer = threading.Timer(0.2, lambda: (place / "answer.txt").write_text(WHOLE))
    timer.start()
    assert judge.answer(QUESTION) == WHOLE
    timer.join()
    assert asked() == 0


@pytest.mark.parametrize("content", [None, WHOLE[:20]], ids=["none", "half"])
def test_what_was_not_answered_is_asked_again(judge: CommandJudge, content: str | None) -> None:
    leave(content)
    assert '"accept"' in judge.answer(QUESTION)
    assert asked() == 1


def test_an_answer_under_way_is_kept_when_a_run_is_ended(judge: CommandJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge._program, "_grace", 30.0)
    Path("answers.json").write_text(json.dumps({"accept": ["a"], "seconds": 1.5}))
    watching = threading.Thread(target=interrupt_when_asked, daemon=True)
    watching.start()
    with pytest.raises(KeyboardInterrupt):
        judge.answer(QUESTION)
    assert '"accept"' in judge.answer(QUESTION)
    assert asked() == 1


def interrupt_when_asked() -> None:
    while not asked():
        time.sleep(0.01)
    signal.raise_signal(signal.SIGINT)


def test_silence_leaves_nothing_that_would_be_waited_for(judge: CommandJudge) -> None:
    Path("answers.json").write_text(json.dumps({"accept": [], "text": "nothing"}))
    with pytest.raises(InputError, match="no such file"):
        judge.answer(QUESTION)
    assert [path.name for path in Path("place").iterdir() if path.is_dir()] == []
