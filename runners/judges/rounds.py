"""Rounds of questions about the candidates of a sentence: the uncertain ones are asked about again, more closely.

Source: choice.md, section 3.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from runners.judges.base import Question, Verdict, Word
from runners.judges.sheets import COLOURS, Picture
from rvos.masks.tracklets import Tracklet
from rvos.settings import Range, Size, count
from rvos.videos import Expression, Video

Ask = Callable[[Question], Mapping[int, Verdict]]
"""Returns a judge's verdicts by the numbers of a question's candidates."""
Draw = Callable[[Mapping[int, Tracklet], Sequence[int]], Picture]
"""Returns the sheet of candidates by their numbers, with some frames."""
Scope = tuple[int, int]
"""First frame and the one after the last."""


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """How often and with what a judge is asked.

    Args:
        rounds: at most; after the first the uncertain ones alone are shown, in a narrower part of the video.
        frames: of a sheet, evenly spread.
        width: of a shown frame in pixels.
    """

    rounds: Annotated[int, Range(least=1, most=3)] = 3
    frames: Annotated[int, Range(least=1, most=16)] = 16
    width: Size = 320


@dataclass(frozen=True, slots=True)
class Round:
    """What was asked and answered in one round: frames shown, and for each candidate every judge's verdict."""

    frames: tuple[int, ...]
    verdicts: Mapping[int, tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a sentence.

    Args:
        accepted: places of the candidates that answer it together; none: all were rejected, or there is none.
        shares: of the judges that accepted each candidate when it was asked about last.
        by_score: no judges accepted any: the best-scored uncertain one answers.
    """

    accepted: tuple[int, ...]
    shares: tuple[float, ...]
    by_score: bool
    rounds: tuple[Round, ...]


def judge_sentence(
    video: Video,
    expression: Expression,
    candidates: Sequence[Tracklet],
    scores: Sequence[float],
    judges: Sequence[Ask],
    *,
    draw: Draw,
    settings: RoundSettings,
) -> Judgement:
    """Return which candidates judges accept for a sentence.

    Args:
        scores: of the candidates, for those that are still uncertain in the end.
    """
    areas = np.array([one.as_runs().areas() for one in candidates], np.float64).reshape(-1, video.n_frames)
    scope: Scope = (0, video.n_frames)
    words: dict[int, Word] = {}
    shares = [0.0] * len(candidates)
    waiting = list(range(len(candidates)))
    asked: list[Round] = []
    while waiting and len(asked) < settings.rounds:
        frames = _spread(scope, settings.frames)
        found: dict[int, tuple[Verdict, ...]] = {}
        for start in range(0, len(waiting), len(COLOURS)):
            shown = {place + 1: candidates[place] for place in waiting[start : start + len(COLOURS)]}
            question = _ask_about(video, expression, shown, frames, draw, n_candidates=len(candidates))
            answers = [ask(question) for ask in judges]
            found |= {number: tuple(answer[number] for answer in answers) for number in shown}
        for number, verdicts in found.items():
            words[number - 1] = decide([verdict.word for verdict in verdicts])
            shares[number - 1] = sum(verdict.word == "accept" for verdict in verdicts) / len(verdicts)
        asked.append(Round(frames, found))
        waiting = [place for place in waiting if words[place] == "uncertain"]
        scope = narrow(scope, areas[waiting])
    accepted = [place for place, word in words.items() if word == "accept"]
    by_score = not accepted and bool(waiting)
    if by_score:
        accepted = [max(waiting, key=lambda place: scores[place])]  # of equal ones the first
    return Judgement(tuple(accepted), tuple(shares), by_score, tuple(asked))


def count_sheets(n_candidates: int) -> int:
    """Return how many sheets one round needs."""
    return math.ceil(n_candidates / len(COLOURS))


def decide(words: Sequence[Word]) -> Word:
    """Return what more than half of the judges say of a candidate; `uncertain` where no word has so many."""
    for word in ("accept", "reject"):
        if 2 * words.count(word) > len(words):
            return word
    return "uncertain"


def narrow(scope: Scope, areas: NDArray[np.float64]) -> Scope:
    """Return the part of a scope in which some candidates are seen.

    That they are seen in all of it narrows nothing: then the half of it in which they are largest.

    Args:
        areas: `(K, T)` pixels of the candidates in every frame of the video.
    """
    first, last = scope
    own = areas[:, first:last]
    seen = np.flatnonzero(own.any(axis=0))
    if not seen.size:
        return scope
    found = (first + int(seen[0]), first + int(seen[-1]) + 1)
    if found != scope:
        return found
    length = (last - first + 1) // 2
    # Each counts alike, however large it is.
    relative = (own / own.max(axis=1, keepdims=True, initial=1.0)).sum(axis=0)
    sums = np.convolve(relative, np.ones(length), mode="valid")
    start = first + int(np.argmax(sums))
    return start, start + length


def _spread(scope: Scope, count: int) -> tuple[int, ...]:
    """Return evenly spread frames of a scope, its ends among them."""
    first, last = scope
    if last - first <= count:
        return tuple(range(first, last))
    if count == 1:
        return ((first + last - 1) // 2,)
    return tuple(first + (2 * k * (last - first - 1) + count - 1) // (2 * (count - 1)) for k in range(count))


def _ask_about(
    video: Video,
    expression: Expression,
    shown: Mapping[int, Tracklet],
    frames: Sequence[int],
    draw: Draw,
    *,
    n_candidates: int,
) -> Question:
    numbers = tuple(shown)
    listed = ", ".join(map(str, numbers))
    hidden = n_candidates - len(numbers)
    others = f" {count(hidden, 'other candidate')} of this video are not shown." if hidden else ""
    text = (
        f"The picture shows {count(len(frames), 'frame')} of one video, row by row in the order of time. Each "
        f"candidate has an outline and a number of its own colour (candidates {listed}); on the right is a crop of "
        f"each.{others}\n"
        f"Sentence: {json.dumps(expression.text, ensure_ascii=False)}\n"
        "Which candidates does the sentence mean? Compare what it says of appearance, place, movement, order, number "
        "and relations with what each candidate does in all frames. Say accept where a candidate is meant, reject "
        "where something in the frames contradicts the sentence, uncertain where these frames do not show enough. The "
        "sentence may mean one candidate, several, or none.\n"
        "Answer with one JSON object and nothing else, with every candidate once: "
        '{"verdicts": [{"candidate": NUMBER, "verdict": "accept" | "reject" | "uncertain", "reason": "..."}]}'
    )
    names = tuple(one.id for one in shown.values())
    return Question(video.id, expression.id, numbers, names, draw(shown, frames), text)
