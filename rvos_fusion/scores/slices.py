"""Scores by kinds of sentences, objects and videos: where a result loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rvos.errors import ConfigError
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset, find_format, open_evaluator
from rvos.language.sentence_words import SPOKEN_OF, find_spoken_of
from rvos.settings import count
from rvos_fusion.scores.slice_facts import SentenceFacts

OTHER = "none of these"
UNSTATED = "not stated"
_MANY = 3
_PARTS = 3


@dataclass(frozen=True, slots=True)
class SliceKind:
    """One way to slice.

    Args:
        title: what the slices are, in words.
        names: a sentence -> the slices that it is in.
        order: of the slices; those that it does not name follow, sorted.
        overlaps: whether a sentence may be in several.
        needs_truth: whether the ground truth tells.
        absent: whether the data do not tell, and why then.
    """

    title: str
    names: Callable[[SentenceFacts], tuple[str, ...]]
    order: tuple[str, ...] = ()
    overlaps: bool = False
    needs_truth: bool = False
    absent: tuple[str, str] | None = None


_SIZES = ((0.01, "under 1 %"), (0.05, "1 to 5 %"), (1.0, "over 5 %"))
_SPEEDS = ((0.05, "under 0.05"), (0.2, "0.05 to 0.2"), (float("inf"), "over 0.2"))
_ABSENT = "never shown"
_ONCE = "in no two frames"


def _grade(limits: Sequence[tuple[float, str]], value: float) -> str:
    return next(name for limit, name in limits if value < limit or limit == limits[-1][0])


def _by_size(one: SentenceFacts) -> tuple[str, ...]:
    size = None if one.seen is None else one.seen.size
    return (_ABSENT if size is None else _grade(_SIZES, size),)


def _by_speed(one: SentenceFacts) -> tuple[str, ...]:
    speed = None if one.seen is None else one.seen.speed
    return (_ONCE if speed is None else _grade(_SPEEDS, speed),)


def _by_presence(one: SentenceFacts) -> tuple[str, ...]:
    presence = one.seen.presence if one.seen else 0.0
    if presence in (0.0, 1.0):
        return (_ABSENT if presence == 0 else "in all frames",)
    return ("in half of the frames or more" if presence >= 0.5 else "in less than half",)


def _count_to_many(number: int) -> tuple[str, ...]:
    return (str(number) if number < _MANY else f"{_MANY} or more",)


SLICES: Mapping[str, SliceKind] = {
    "kind": SliceKind(
        "kind of the sentence, as the data set states it",
        lambda one: (one.expression.kind or UNSTATED,),
        absent=(UNSTATED, "the data set states no kinds of sentences"),
    ),
    "words": SliceKind(
        "what the words of the sentence speak of",
        lambda one: find_spoken_of(one.expression.text) or (OTHER,),
        (*SPOKEN_OF, OTHER),
        overlaps=True,
    ),
    "size": SliceKind(
        "mean share of the frame that the object covers where it is shown",
        _by_size,
        (*(name for _, name in _SIZES), _ABSENT),
        needs_truth=True,
    ),
    "motion": SliceKind(
        "way of the object's centre from frame to frame, by the root of its area",
        _by_speed,
        (*(name for _, name in _SPEEDS), _ONCE),
        needs_truth=True,
    ),
    "presence": SliceKind(
        "frames that show the object",
        _by_presence,
        ("in all frames", "in half of the frames or more", "in less than half", _ABSENT),
        needs_truth=True,
    ),
    "length": SliceKind("frames of the video", lambda one: (str(one.n_frames),)),
    "alike": SliceKind(
        "objects of the same class in the video",
        lambda one: (UNSTATED,) if one.n_alike is None else _count_to_many(one.n_alike),
        absent=(UNSTATED, "the data set states no classes of objects"),
    ),
    "sentences": SliceKind("sentences that the object has", lambda one: _count_to_many(one.n_sentences)),
}
"""By the word of `--by`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: its sentences, and J&F of every node in per cent, means over them."""

    name: str
    n_sentences: int
    values: tuple[tuple[float, float], ...]

    @property
    def j_and_f(self) -> tuple[float, ...]:
        """J&F by node."""
        return tuple((j + f) / 2 for j, f in self.values)


def find_slices(by: str, facts: Sequence[SentenceFacts]) -> dict[str, list[int]]:
    """Return the slices by name, in their order, with the places of their sentences; lengths are cut into thirds."""
    kind = SLICES[by]
    found: dict[str, list[int]] = {}
    named = _cut_lengths(facts) if by == "length" else [kind.names(one) for one in facts]
    for place, names in enumerate(named):
        for name in names:
            found.setdefault(name, []).append(place)
    order = {name: place for place, name in enumerate(kind.order)}
    if by == "length":
        order = {name: int(name.partition(" ")[0]) for name in found}
    return {name: found[name] for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))}


def _cut_lengths(facts: Sequence[SentenceFacts]) -> list[tuple[str, ...]]:
    """Return for every sentence the third that its video's length lies in; equal lengths stay together."""
    by_video = {one.video: one.n_frames for one in facts}
    lengths = np.array(list(by_video.values()))
    limits = np.quantile(lengths, np.arange(1, _PARTS) / _PARTS)
    third = np.searchsorted(limits, lengths, side="left")
    names = {}
    for number in set(third.tolist()):
        own = lengths[third == number]
        names[number] = f"{own.min()} to {own.max()}" if own.min() < own.max() else str(own.min())
    of_video = dict(zip(by_video, third.tolist(), strict=True))
    return [(names[of_video[one.video]],) for one in facts]


def slice_scores(
    dataset: Dataset, by: str, facts: Sequence[SentenceFacts], scores: Sequence[Sequence[ExpressionScore]]
) -> list[Slice]:
    """Return the slices that have sentences, and last all of them.

    Args:
        scores: of each node, of all sentences of the videos.

    Raises:
        ConfigError: the protocol scores no sentences, or the data do not tell by what they are to be sliced.
    """
    form, kind = find_format(dataset.format), SLICES[by]
    if not open_evaluator(dataset).scores_alone:
        raise ConfigError(f"--by {by}: {form.title} scores all sentences of a video together; leave it out")
    slices = find_slices(by, facts)
    if kind.absent is not None and set(slices) == {kind.absent[0]}:
        raise ConfigError(f"--by {by}: {kind.absent[1]}; choose from {', '.join(one for one in SLICES if one != by)}")
    places = {(one.video, one.expression.id): place for place, one in enumerate(facts)}
    tables = []
    for own in scores:
        values = np.full((len(facts), 2), np.nan)
        for one in own:
            values[places[one.video, one.expression]] = one.j_mean, one.f_mean
        tables.append(values)
    every = {**slices, "all": list(range(len(facts)))}
    return [
        Slice(
            name,
            len(chosen),
            tuple((100 * j, 100 * f) for j, f in (values[chosen].mean(axis=0).tolist() for values in tables)),
        )
        for name, chosen in every.items()
    ]


def explain_slices(by: str, slices: Sequence[Slice]) -> str:
    """Return what must be said of slices: what they are, and whether they add up to the whole."""
    kind, whole = SLICES[by], slices[-1].n_sentences
    total = sum(one.n_sentences for one in slices[:-1])
    adds = (
        f"the slices overlap: {total} places for {count(whole, 'sentence')}"
        if kind.overlaps
        else "the slices add up to all"
    )
    return f"{by}: {kind.title}; J&F in per cent, means over sentences; {adds}"
