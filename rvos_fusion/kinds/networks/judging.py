"""Judges as nodes need them: whose verdicts a folder holds, and asking what nobody has asked before."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from runners.judges.answers import read_answer
from runners.judges.base import Judge, JudgeSettings, Question, Verdict
from runners.judges.record import Recorded, find_verdicts, keep_verdicts, uncertain
from runners.judges.sheets import ReadFrame
from rvos.errors import InputError
from rvos.videos import Video
from rvos_fusion.kinds.base import FileUse, NodeFile, Task
from rvos_fusion.kinds.checksums import Checksums, hash_json
from rvos_fusion.kinds.networks.loaded import explain
from rvos_fusion.kinds.plain import plain_fields

_KEY_LENGTH = 16
_KEPT_FRAMES = 32


def judge_files(judge: JudgeSettings) -> Iterator[NodeFile]:
    """Yield what must be on disk for a judge."""
    for what, paths in judge.files.items():
        use: FileUse = "checkpoint" if what == "checkpoint" else "settings"
        for path in paths:
            yield NodeFile(path, what, f"no such {what}; put it there or correct the path", use)


def describe_judge(judge: JudgeSettings) -> Mapping[str, object]:
    """Return the settings that change its answers, as plain values; of words that are files the name."""
    found = plain_fields(judge)
    words = found.get("command")
    if isinstance(words, list):
        beside = judge.beside or Path.cwd()
        found["command"] = [Path(word).name if (beside / word).is_file() else word for word in words]
    return {**found, "judge": judge.judge}


def explain_judge(judge: JudgeSettings) -> Iterator[str]:
    """Yield what would keep a judge from being loaded; no weights are read, nothing is started."""
    from runners.judges.table import check_judge

    return explain(partial(check_judge, judge))


@dataclass(slots=True)
class Asking:
    """A judge and the folder of its verdicts.

    Args:
        settings: its own.
        known: plain values that tell it from all others.
        place: of the workspace, for what programs get and say.
        judge: loaded with the first question that nobody has asked; None before.
    """

    settings: JudgeSettings
    known: Mapping[str, object]
    workspace: Path
    device: str
    judge: Judge | None = field(default=None, init=False)

    @property
    def key(self) -> str:
        """Folder of its verdicts."""
        return f"{self.settings.judge}-{hash_json(self.known)[:_KEY_LENGTH]}"

    @property
    def folder(self) -> Path:
        """Where its verdicts lie."""
        return (self.settings.verdicts or self.workspace / "verdicts") / self.key

    def find(self, question: Question) -> Recorded | None:
        """Return what became of a question; None: nobody has asked it."""
        return find_verdicts(self.folder, question)

    def ask(self, question: Question) -> Mapping[int, Verdict]:
        """Return its verdicts, those of before where it was asked already; of what it does not answer one line is told.

        An answer that cannot be used is one all the same, and kept; silence is not.
        """
        found = self.find(question)
        if found is None:
            try:
                text = self._load().answer(question)
            except InputError as error:
                found = uncertain(question, str(error))
            else:
                found = _read(text, question)
                if self.settings.judge != "recorded":
                    keep_verdicts(self.folder, question, found, self.known)
        if found.problem:
            print(
                f"{question.video}/{question.expression}: judge {self.settings.name}: {found.problem}; "
                "counted as uncertain",
                file=sys.stderr,
            )
        return found.verdicts

    def _load(self) -> Judge:
        if self.judge is None:
            from runners.judges.table import build_judge

            place = self.workspace / "commands" / self.key
            self.judge = build_judge(self.settings, place=place, device=self.device)
        return self.judge


def _read(text: str, question: Question) -> Recorded:
    try:
        return Recorded(read_answer(text, question.numbers))
    except InputError as error:
        return uncertain(question, str(error))


def open_judges(judges: Sequence[JudgeSettings], task: Task) -> list[Asking]:
    """Return judges with what tells them apart: settings, versions, contents of files."""
    checksums = Checksums(task.workspace)
    found = []
    for judge in judges:
        files = [checksums.get(path) for paths in judge.files.values() for path in paths]
        known = {**describe_judge(judge), "version": judge.version, "files": files}
        found.append(Asking(judge, known, task.workspace, task.device))
    return found


@dataclass(frozen=True, slots=True)
class Questions:
    """How many questions are still to be asked, at least and at most: how often depends on the answers."""

    least: int
    most: int

    def __add__(self, other: Questions) -> Questions:
        return Questions(self.least + other.least, self.most + other.most)


class Counting:
    """Counts what nobody has asked yet, as if every missing answer were uncertain."""

    def __init__(self) -> None:
        self.found = Questions(0, 0)
        self._asked: set[tuple[str, str]] = set()
        # By number of a candidate: the questions about it without an answer, on which further ones depend.
        self._open: dict[int, str] = {}

    def begin(self) -> None:
        """Begin another sentence."""
        self._open = {}

    def ask(self, judge: Asking, question: Question) -> Mapping[int, Verdict]:
        """Return the verdicts that a judge's folder holds; uncertain ones, and counted, where it holds none."""
        found, content = judge.find(question), question.content_hash()
        if found is not None:
            return found.verdicts
        if (judge.key, content) not in self._asked:
            self._asked.add((judge.key, content))
            is_certain = all(self._open.get(number, content) == content for number in question.numbers)
            self.found += Questions(int(is_certain), 1)
        self._open |= dict.fromkeys(question.numbers, content)
        return uncertain(question, "").verdicts


def keep_frames(video: Video) -> ReadFrame:
    """Return a reader of frames that keeps those read last: the sheets of all sentences show much the same."""
    return lru_cache(maxsize=_KEPT_FRAMES)(video.read_frame)
