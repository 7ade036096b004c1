"""Answers of judges: strict JSON, of which nothing is executed and nothing is guessed. Source: choice.md, section 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from runners.judges.base import Verdict, Word
from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.settings import count

LONGEST_ANSWER = 1 << 16
"""Bytes; ten candidates with a paragraph on each are a tenth of it."""
_LONGEST_REASON = 500
_FENCE = "```"
_WORDS = get_args(Word)


def read_answer(text: str, numbers: Sequence[int]) -> Mapping[int, Verdict]:
    """Return the verdicts by the candidates' numbers; one that is not spoken of is uncertain.

    Args:
        text: one JSON object, `{"verdicts": [{"candidate": 3, "verdict": "accept", "reason": "..."}]}`, bare or as the
            only block of code.
        numbers: of the candidates that were asked about.

    Raises:
        InputError: anything else; an unknown number, one twice, another word.
    """
    try:
        return _read(text.strip().encode("utf-8", "replace"), numbers)
    except InputError as error:
        # There is no file that anybody could correct.
        raise InputError(str(error).removesuffix("; correct the file")) from None


def _read(content: bytes, numbers: Sequence[int]) -> Mapping[int, Verdict]:
    if len(content) > LONGEST_ANSWER:
        raise InputError(f"answer of {count(len(content), 'byte')}, at most {LONGEST_ANSWER} are read")
    if not content:
        raise InputError("an empty answer")
    # Most models put JSON between fences, whatever they are asked for.
    if content.startswith(_FENCE.encode()) and content.endswith(_FENCE.encode()) and b"\n" in content:
        content = content.partition(b"\n")[2].removesuffix(_FENCE.encode())
    where = "answer"
    rows = expect_list(expect_object(parse_json(content, where=where), where=where).get("verdicts"), where=where)
    found: dict[int, Verdict] = {}
    for row in rows:
        number, verdict = _read_row(expect_object(row, where=where), numbers)
        if number in found:
            raise InputError(f"answer: candidate {number} is judged twice")
        found[number] = verdict
    return {number: found.get(number, Verdict("uncertain", "not spoken of")) for number in numbers}


def _read_row(row: Mapping[str, Any], numbers: Sequence[int]) -> tuple[int, Verdict]:
    number, word, reason = row.get("candidate"), row.get("verdict"), row.get("reason", "")
    if type(number) is not int or number not in numbers:
        raise InputError(f"answer: candidate {ascii(number)[:40]} is not on the sheet")
    if not isinstance(word, str) or word not in _WORDS:
        raise InputError(f"answer: verdict {ascii(word)[:40]} of candidate {number} is none of {', '.join(_WORDS)}")
    if not isinstance(reason, str):
        raise InputError(f"answer: the reason of candidate {number} is no text")
    return number, Verdict(word, reason[:_LONGEST_REASON])  # type: ignore[arg-type]
