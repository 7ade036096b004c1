"""Expressions that are true of exactly one thing of a scene, by appearance, place, relation or motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.synthetic.appearance import Look
from rvos_fusion.synthetic.motion import SAYABLE, holds, leaves_view
from rvos_fusion.synthetic.scenes import Scene

Kind = Literal["appearance", "place", "relation", "motion"]
KINDS: tuple[Kind, ...] = ("appearance", "place", "relation", "motion")
_KIND_CHANCES = {"appearance": 0.45, "place": 0.2, "relation": 0.35, "motion": 0.1}
_OTHER_KIND = 0.6

NOUNS = {
    "circle": ("circle", "ball"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "ring": ("ring",),
    "cross": ("cross",),
    "moon": ("moon",),
}
GENERAL_NOUNS = ("object", "thing")
_MARKS = {"striped": "with stripes", "dotted": "with dots", "checkered": "with checks"}
MARGIN = 9.0
"""Pixels by which a relation of place must hold in every frame."""
_SIZE_RATIO = 1.3
_CHANGING = ("grow", "shrink")

_PLACES = {
    "left": ("the leftmost {c}", "the {c} on the left", "the {c} on the left side"),
    "right": ("the rightmost {c}", "the {c} on the right", "the {c} on the right side"),
    "top": ("the topmost {c}", "the {c} at the top"),
    "bottom": ("the lowest {c}", "the {c} at the bottom"),
}
SIDES = {
    "left": ("the {c} left of {a}", "the {c} on the left of {a}"),
    "right": ("the {c} right of {a}", "the {c} on the right of {a}"),
    "top": ("the {c} above {a}", "the {c} that is above {a}"),
    "bottom": ("the {c} below {a}", "the {c} that is below {a}"),
}
_NEAR = ("the {c} closest to {a}", "the {c} nearest to {a}")
_BIGGER = ("the bigger {c}", "the {c} that is bigger")
_SMALLER = ("the smaller {c}", "the {c} that is smaller")
MOTIONS = {
    "still": ("the {c} that does not move", "the {c} standing still", "the {c} staying in place"),
    "left": ("the {c} moving left", "the {c} that goes to the left", "the {c} heading left"),
    "right": ("the {c} moving right", "the {c} that goes to the right", "the {c} heading right"),
    "up": ("the {c} moving up", "the {c} that goes upwards", "the {c} climbing up"),
    "down": ("the {c} moving down", "the {c} that goes downwards", "the {c} heading down"),
    "swing": ("the {c} moving back and forth", "the {c} that goes back and forth"),
    "round": ("the {c} moving round and round", "the {c} circling in place", "the {c} that goes around"),
    "grow": ("the {c} getting bigger", "the {c} that grows", "the growing {c}"),
    "shrink": ("the {c} getting smaller", "the {c} that shrinks", "the shrinking {c}"),
    "spin": ("the {c} spinning in place", "the {c} that turns around", "the rotating {c}"),
    "leave": ("the {c} leaving the picture", "the {c} that goes out of view"),
    "enter": ("the {c} coming into the picture", "the {c} that comes into view"),
    "return": ("the {c} that leaves and returns", "the {c} that goes away and comes back"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One expression, lower case without punctuation, true of one thing of a scene; `template` is its form."""

    text: str
    thing: int
    kind: Kind
    template: str


@dataclass(frozen=True, slots=True)
class Description:
    """A noun phrase by appearance, without article, and the things that it fits."""

    phrase: str
    members: frozenset[int]


def write_sentences(scene: Scene, random: np.random.Generator) -> list[Sentence] | None:
    """Return two sentences for each thing by different templates, in order; None when one has fewer than two."""
    pairs: list[Sentence] = []
    for thing in random.permutation(len(scene.things)):
        true = list(candidates(scene, int(thing), random))
        if not true:
            return None
        first = _pick(true, random)
        others = [sentence for sentence in true if sentence.template != first.template]
        of_other_kind = [sentence for sentence in others if sentence.kind != first.kind]
        if of_other_kind and random.random() < _OTHER_KIND:
            others = of_other_kind
        if not others:
            return None
        pairs += [first, _pick(others, random)]
    return pairs


def _pick(candidates: list[Sentence], random: np.random.Generator) -> Sentence:
    """Return a sentence: first a kind by its chance, then a template, then one of its sentences."""
    kinds = sorted({sentence.kind for sentence in candidates})
    chances = np.array([_KIND_CHANCES[kind] for kind in kinds])
    kind = str(random.choice(kinds, p=chances / chances.sum()))
    templates = sorted({sentence.template for sentence in candidates if sentence.kind == kind})
    template = templates[int(random.integers(len(templates)))]
    fitting = [sentence for sentence in candidates if sentence.kind == kind and sentence.template == template]
    return fitting[int(random.integers(len(fitting)))]


def candidates(scene: Scene, thing: int, random: np.random.Generator) -> Iterator[Sentence]:
    """Yield the true sentences of one thing, of all kinds."""
    descriptions = list(describe(scene, thing, random))
    for description in descriptions:
        if len(description.members) == 1:
            yield from _by_appearance(description, thing)
        else:
            yield from _by_place(scene, description, thing)
            yield from _by_size(scene, description, thing)
            yield from _by_relation(scene, description, thing, random)
            yield from _by_motion(scene, description, thing)


def describe(scene: Scene, thing: int, random: np.random.Generator) -> Iterator[Description]:
    """Yield phrases of different precision that fit the thing, from "object" to all of its attributes."""
    look = scene.things[thing].look
    # Medium sizes and sizes that change have no word; any word may be said of a size that changes.
    is_sized = look.size != "medium" and scene.things[thing].motion not in _CHANGING
    names = [*(("size",) if is_sized else ()), "texture", "colour", "shape"]
    for count in range(len(names) + 1):
        for chosen in combinations(names, count):
            members = frozenset(
                other
                for other, candidate in enumerate(scene.things)
                if all(
                    getattr(candidate.look, name) == getattr(look, name)
                    or (name == "size" and candidate.motion in _CHANGING)
                    for name in chosen
                )
            )
            yield Description(name_look(look, chosen, random), members)


def name_look(look: Look, chosen: tuple[str, ...], random: np.random.Generator) -> str:
    """Return a noun phrase with some attributes of a look."""
    nouns = NOUNS[look.shape] if "shape" in chosen else GENERAL_NOUNS
    words = [str(getattr(look, name)) for name in ("size", "texture", "colour") if name in chosen]
    mark = ""
    if "texture" in chosen and look.texture in _MARKS and random.random() < 0.4:
        words.remove(look.texture)
        mark = " " + _MARKS[look.texture]
    return " ".join([*words, nouns[int(random.integers(len(nouns)))]]) + mark


def _by_appearance(description: Description, thing: int) -> Iterator[Sentence]:
    phrase = description.phrase
    yield Sentence(f"the {phrase}", thing, "appearance", "the")
    yield Sentence(f"a {phrase}", thing, "appearance", "a")
    words = phrase.split()
    if len(words) == 2:
        yield Sentence(f"the {words[1]} that is {words[0]}", thing, "appearance", "that is")


def _by_place(scene: Scene, description: Description, thing: int) -> Iterator[Sentence]:
    if any(leaves_view(scene.things[member].motion) for member in description.members):
        return
    own = scene.things[thing].path.centres
    for side, templates in _PLACES.items():
        others = (scene.things[other].path.centres for other in description.members - {thing})
        if all(np.all(lead(own, other, side) > MARGIN) for other in others):
            for template in templates:
                yield Sentence(template.format(c=description.phrase), thing, "place", f"{side} {template}")


def lead(own: NDArray[np.float64], other: NDArray[np.float64], side: str) -> NDArray[np.float64]:
    """Return by how many pixels `own` is farther to the side than `other`, `(T,)`."""
    axis, sign = {"left": (0, -1), "right": (0, 1), "top": (1, -1), "bottom": (1, 1)}[side]
    return np.asarray(sign * (own[:, axis] - other[:, axis]))


def _by_size(scene: Scene, description: Description, thing: int) -> Iterator[Sentence]:
    if len(description.members) > 2 or any(word in description.phrase.split() for word in ("big", "small")):
        return
    own = scene.things[thing].path.radii
    for templates, factor in ((_BIGGER, 1), (_SMALLER, -1)):
        others = (scene.things[other].path.radii for other in description.members - {thing})
        if all(np.all((own / other) ** factor > _SIZE_RATIO) for other in others):
            for template in templates:
                yield Sentence(template.format(c=description.phrase), thing, "relation", template)


def _by_relation(scene: Scene, description: Description, thing: int, random: np.random.Generator) -> Iterator[Sentence]:
    for anchor, candidate in enumerate(scene.things):
        members = description.members - {anchor}
        if anchor == thing or len(members) < 2 or any(leaves_view(scene.things[m].motion) for m in {*members, anchor}):
            continue
        names = [d.phrase for d in describe(scene, anchor, random) if d.members == {anchor}]
        if not names or candidate.look == scene.things[thing].look:
            continue
        name = "the " + min(names, key=len)
        yield from _beside(scene, description.phrase, (thing, anchor, members - {thing}), name)


def _beside(scene: Scene, phrase: str, roles: tuple[int, int, frozenset[int]], name: str) -> Iterator[Sentence]:
    """Yield the sides and the nearness of a thing to an anchor that none of the others shares."""
    thing, anchor, others = roles
    own, base = scene.things[thing].path.centres, scene.things[anchor].path.centres
    rivals = [scene.things[other].path.centres for other in others]
    for side, templates in SIDES.items():
        holds_here = np.all(lead(own, base, side) > MARGIN)
        if holds_here and all(np.all(lead(rival, base, side) < 0) for rival in rivals):
            for template in templates:
                yield Sentence(template.format(c=phrase, a=name), thing, "relation", f"{side} {template}")
    if all(np.all(_distance(rival, base) - _distance(own, base) > MARGIN) for rival in rivals):
        for template in _NEAR:
            yield Sentence(template.format(c=phrase, a=name), thing, "relation", template)


def _distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    gap = left - right
    return np.asarray(np.sqrt(gap[:, 0] ** 2 + gap[:, 1] ** 2))


def _by_motion(scene: Scene, description: Description, thing: int) -> Iterator[Sentence]:
    motion = scene.things[thing].motion
    rivals = [holds(scene.things[other].motion) for other in description.members - {thing}]
    for predicate in sorted(SAYABLE[motion]):
        if not any(predicate in rival for rival in rivals):
            for template in MOTIONS[predicate]:
                yield Sentence(template.format(c=description.phrase), thing, "motion", f"{predicate} {template}")
