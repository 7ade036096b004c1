"""Verdicts that were given, one file a question: whoever asks the same again reads them. Source: choice.md, section 3.

`FOLDER/HASH.json`, the hash being that of the sheet's pixels and the question's text; a folder is one judge's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.judges.answers import read_answer
from runners.judges.base import Question, Verdict
from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import expect_object, read_json

_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a question.

    Args:
        verdicts: by the candidates' numbers.
        problem: why the answer could not be used, all verdicts being uncertain then; empty: it could.
    """

    verdicts: Mapping[int, Verdict]
    problem: str = ""


def uncertain(question: Question, problem: str) -> Recorded:
    """Return what stands for an answer that is missing or cannot be used."""
    return Recorded(dict.fromkeys(question.numbers, Verdict("uncertain", problem)), problem)


def find_verdicts(folder: Path, question: Question) -> Recorded | None:
    """Return what a folder holds for a question; None where there is nothing, or nothing that can be read."""
    path = _name(folder, question)
    try:
        content = expect_object(read_json(path, most=_LARGEST_FILE), where=str(path))
        if problem := content.get("problem"):
            return uncertain(question, str(problem))
        return Recorded(read_answer(json.dumps({"verdicts": content.get("verdicts")}), question.numbers))
    except InputError:
        return None


def keep_verdicts(folder: Path, question: Question, found: Recorded, judge: object) -> None:
    """Write what became of a question; `judge` are plain values that say whose it is. StoreError: it cannot."""
    rows = [
        {"candidate": number, "name": name, "verdict": own.word, "reason": own.reason}
        for number, name in zip(question.numbers, question.names, strict=True)
        for own in (found.verdicts[number],)
    ]
    content = {
        "video": question.video,
        "expression": question.expression,
        "judge": judge,
        "question": question.text,
        "problem": found.problem,
        "verdicts": rows,
    }
    write_atomically(_name(folder, question), json.dumps(content, indent=1).encode())


def _name(folder: Path, question: Question) -> Path:
    return folder / f"{question.content_hash()}.json"
