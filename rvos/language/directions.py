"""Directions of movement that a sentence names: "walks to the left", not "the one on the left"."""

from __future__ import annotations

import re
from typing import Literal

Direction = Literal["left", "right", "up", "down"]

_WORD = r"(left|right|up|down)"
_SIDES = re.compile(
    r"\bfrom\s+(?:the\s+)?(?:left|right|top|bottom)\s+(?:side\s+)?to\s+(?:the\s+)?(left|right|top|bottom)\b"
)
_WARDS = re.compile(rf"\b{_WORD}wards?\b")
_MOVES = re.compile(
    r"\b(?:mov|go(?:es|ing)?\b|went|walk|run|ran\b|driv|drove|fl(?:y|ies|ew)|swim|swam|jump|slid|roll|travel|drift|climb|"
    rf"cross|head(?:s|ing|ed)\b|com(?:es|ing)\b)\w*((?:\s+[a-z']+){{0,3}}?)\s+{_WORD}\b(?!\s+(?:of|side))"
)
_PLACES = {"from", "on", "at", "in", "by", "near", "with", "who", "that", "which"}
"""Words after which left and right tell where something is, or begin another thought."""
_VERTICAL: dict[str, Direction] = {"top": "up", "bottom": "down"}
OPPOSITE: dict[Direction, Direction] = {"left": "right", "right": "left", "up": "down", "down": "up"}


def find_directions(sentence: str) -> tuple[Direction, ...]:
    """Return the directions in which a sentence says that something moves, each once, in their order."""
    text = sentence.lower()
    found: list[tuple[int, str]] = [(match.start(), match[1]) for match in _SIDES.finditer(text)]
    if not found:
        found = [(match.start(), match[1]) for match in _WARDS.finditer(text)]
        found += [
            (match.start(), match[2]) for match in _MOVES.finditer(text) if not _PLACES.intersection(match[1].split())
        ]
    words = [_VERTICAL.get(word, word) for _, word in sorted(found)]
    return tuple(dict.fromkeys(words))  # type: ignore[arg-type]
