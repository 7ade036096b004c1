"""The ladder of a noun: what a detector is asked for one after the other, and whose instances are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rvos.language.broader_nouns import find_broader
from rvos.language.nouns import NounFinder, NounSettings, plain_sentence, split_names
from rvos.masks.detections import FrameInstances
from rvos.videos import Video

Depth = Literal["noun", "broader", "sentence"]
"""How far down a ladder goes."""
RUNGS: tuple[Depth, ...] = ("noun", "broader", "sentence")
NOTHING = "nothing"
Names = tuple[str, ...]
Found = Mapping[int, FrameInstances]
"""What was found of some names, by frame."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a detector is asked for of one noun.

    Args:
        noun: its names; they win where a broader noun has no more instances.
        broader: of each of its names where the lists know one; none: that rung is left out.
        sentences: whole ones, asked for where neither has any instance; none: that rung is left out.
    """

    noun: Names
    broader: Names = ()
    sentences: Names = ()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Whose instances are kept for a noun, and how many those of each asked rung were, by its names in words.

    `rung` is one of RUNGS, or `nothing` where no rung has any instance.
    """

    rung: str
    kept: Names
    found: Found
    instances: Mapping[str, int]


def list_ladders(video: Video, nouns: NounSettings, depth: Depth) -> dict[str, Ladder]:
    """Return the ladder of each noun of a video's sentences, in their order."""
    finder = NounFinder(nouns)
    sentences: dict[str, dict[str, None]] = {noun: {} for noun in finder.find_all(video)}
    for expression in video.expressions:
        if noun := finder.find(video, expression).text:
            sentences[noun][plain_sentence(expression)] = None
    found = {}
    for noun, texts in sentences.items():
        names = split_names(noun) or (noun,)
        sorts = (find_broader(name, nouns.broader) for name in names) if depth != "noun" else ()
        broader = tuple(dict.fromkeys(sort for sort in sorts if sort is not None and sort not in names))
        whole = tuple(text for text in texts if text not in names) if depth == "sentence" else ()
        found[noun] = Ladder(names, broader, whole)
    return found


def descend(
    ladders: Mapping[str, Ladder], ask: Callable[[Sequence[Names]], Sequence[Found]], count: Callable[[Found], int]
) -> dict[str, Step]:
    """Return what is kept for each noun: of noun and broader noun what has more instances, else that of the sentences.

    Args:
        ask: returns what a detector finds of each of some names.
        count: returns how many instances of it are used.
    """
    known: dict[Names, Found] = {}

    def learn(rungs: Sequence[Names]) -> None:
        new = [names for names in dict.fromkeys(rungs) if names and names not in known]
        known.update(zip(new, ask(new), strict=True) if new else ())

    def choose(rungs: Sequence[Names]) -> Step:
        counts = {rung: count(known[names]) for rung, names in zip(RUNGS, rungs, strict=False) if names}
        best = max(counts, key=lambda rung: counts[rung])  # of equal ones the first
        by_name = dict(zip(RUNGS, rungs, strict=False))
        instances = {" . ".join(by_name[rung]): n for rung, n in counts.items()}
        return Step(best if counts[best] else NOTHING, by_name[best], known[by_name[best]], instances)

    # At once, so that a frame is encoded once for all of them.
    learn([names for one in ladders.values() for names in (one.noun, one.broader)])
    steps = {noun: choose((one.noun, one.broader)) for noun, one in ladders.items()}
    empty = [noun for noun, step in steps.items() if step.rung == NOTHING]
    learn([ladders[noun].sentences for noun in empty])
    rungs = {noun: (ladders[noun].noun, ladders[noun].broader, ladders[noun].sentences) for noun in empty}
    return steps | {noun: choose(own) for noun, own in rungs.items()}
