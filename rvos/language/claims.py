"""What a sentence claims that tracks can contradict: a number, a direction, a change, a side of something else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rvos.language.directions import Direction, find_directions
from rvos.language.nouns import find_phrase

Change = Literal["grow", "shrink", "enter", "leave"]
_NUMBERS = {"both": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NUMBER = re.compile(rf"^(?:all\s+|the\s+|these\s+|those\s+)*({'|'.join(_NUMBERS)})\b(?!\s+of\b)")
_CHANGES: dict[Change, re.Pattern[str]] = {
    "grow": re.compile(r"\bgrow(?:s|ing)?\b|\bget(?:s|ting)? (?:bigger|larger)\b"),
    "shrink": re.compile(r"\bshrink(?:s|ing)?\b|\bget(?:s|ting)? smaller\b"),
    "enter": re.compile(r"\benter(?:s|ing)?\b|\bcom(?:e|es|ing) (?:in|into)\b|\bappear(?:s|ing)?\b"),
    "leave": re.compile(r"\bleav(?:e|es|ing) (?:the|view|sight)\b|\bgo(?:es|ing)? out\b|\bdisappear(?:s|ing)?\b"),
}
_RETURNS = re.compile(r"\breturn|\bback\b")
_SIDES: dict[Direction, re.Pattern[str]] = {
    "left": re.compile(r"\bleft of\s+(.+)"),
    "right": re.compile(r"\bright of\s+(.+)"),
    "up": re.compile(r"\babove\s+(.+)"),
    "down": re.compile(r"\b(?:below|beneath)\s+(.+)"),
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What one sentence says; nothing of a sort that it does not speak of.

    Args:
        number: of things, at least 2.
        directions: of movement.
        side: where what is meant lies, seen from `anchor`, a noun, which is empty where there is no side.
    """

    number: int | None
    directions: tuple[Direction, ...]
    changes: tuple[Change, ...]
    side: Direction | None
    anchor: str


def find_claims(sentence: str) -> Claims:
    """Return what a sentence claims."""
    text = " ".join(sentence.lower().split())
    number = _NUMBER.search(text)
    # What comes back was there, and is there again: neither end of the video tells.
    changes = () if _RETURNS.search(text) else tuple(name for name, words in _CHANGES.items() if words.search(text))
    sides = [(side, found[1]) for side, words in _SIDES.items() if (found := words.search(text))]
    side, rest = sides[0] if len(sides) == 1 else (None, "")
    phrase = find_phrase(rest)
    anchor = phrase[-1] if phrase else ""
    return Claims(
        None if number is None else _NUMBERS[number[1]],
        find_directions(text),
        changes,
        side if anchor else None,
        anchor if side else "",
    )
