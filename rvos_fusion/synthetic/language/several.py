"""Expressions that are true of several things of a scene at once, and of no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.synthetic.language.sentences import (
    GENERAL_NOUNS,
    MARGIN,
    MOTIONS,
    NOUNS,
    SIDES,
    Description,
    describe,
    lead,
)
from rvos_fusion.synthetic.motion import SAYABLE, holds, leaves_view
from rvos_fusion.synthetic.scenes import Scene

GroupKind = Literal["appearance", "motion", "place", "relation"]

_KIND_CHANCES = {"appearance": 0.35, "motion": 0.4, "place": 0.1, "relation": 0.15}
NUMBERS = {2: "two", 3: "three", 4: "four"}
_EXTREMES = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "lowest"}
_NOUNS = frozenset(noun for nouns in (*NOUNS.values(), GENERAL_NOUNS) for noun in nouns)
_PLURAL_VERBS = {
    "is": "are",
    "does": "do",
    "goes": "go",
    "comes": "come",
    "grows": "grow",
    "leaves": "leave",
    "moves": "move",
    "returns": "return",
    "shrinks": "shrink",
    "turns": "turn",
}
_MOVES = ("left", "right", "up", "down")


@dataclass(frozen=True, slots=True)
class GroupSentence:
    """One expression, lower case without punctuation, and the two or more things of a scene that it is true of."""

    text: str
    things: frozenset[int]
    kind: GroupKind


def write_group_sentences(scene: Scene, random: np.random.Generator, *, most: int) -> list[GroupSentence]:
    """Return at most `most` sentences, each about other things than the rest."""
    found = sorted(set(candidates(scene, random)), key=lambda sentence: (sentence.kind, sentence.text))
    chosen: list[GroupSentence] = []
    while found and len(chosen) < most:
        kinds = sorted({sentence.kind for sentence in found})
        chances = np.array([_KIND_CHANCES[kind] for kind in kinds])
        kind = str(random.choice(kinds, p=chances / chances.sum()))
        groups = sorted({sentence.things for sentence in found if sentence.kind == kind}, key=sorted)
        things = groups[int(random.integers(len(groups)))]
        fitting = [sentence for sentence in found if sentence.kind == kind and sentence.things == things]
        chosen.append(fitting[int(random.integers(len(fitting)))])
        found = [sentence for sentence in found if sentence.things != things]
    return chosen


def candidates(scene: Scene, random: np.random.Generator) -> Iterator[GroupSentence]:
    """Yield the true sentences about several things, of all kinds; some more than once."""
    for thing in range(len(scene.things)):
        for description in describe(scene, thing, random):
            # A word for the size is vague where sizes change.
            sized = any(word in ("big", "small") for word in description.phrase.split())
            is_vague = sized and any(scene.things[one].motion in ("grow", "shrink") for one in description.members)
            if len(description.members) > 1 and not is_vague:
                yield from _by_appearance(description)
                yield from _by_motion(scene, description)
                yield from _by_place(scene, description)
                yield from _by_relation(scene, description, random)


def _by_appearance(description: Description) -> Iterator[GroupSentence]:
    many, number = to_plural(description.phrase), len(description.members)
    texts = [f"all {many}", f"the {many}", f"every {description.phrase}"]
    texts += [f"the {NUMBERS[number]} {many}"] if number in NUMBERS else []
    texts += [f"both {many}"] if number == 2 else []
    for text in texts:
        yield GroupSentence(text, description.members, "appearance")


def _by_motion(scene: Scene, description: Description) -> Iterator[GroupSentence]:
    """Yield sentences about those of a phrase that move alike, while others that it fits do not."""
    motions = {member: scene.things[member].motion for member in description.members}
    for predicate, templates in MOTIONS.items():
        said = frozenset(member for member, motion in motions.items() if predicate in SAYABLE[motion])
        true = frozenset(member for member, motion in motions.items() if predicate in holds(motion))
        if said == true and 2 <= len(said) < len(motions):
            own = (*templates, f"the {{c}} that moves {predicate}") if predicate in _MOVES else templates
            for template in own:
                yield from _say(template, description, said, "motion")


def _by_place(scene: Scene, description: Description) -> Iterator[GroupSentence]:
    """Yield "the two leftmost stars": both are farther to that side than every other, in every frame."""
    paths = _paths(scene, description.members)
    if paths is None or len(paths) < 3:
        return
    for side, word in _EXTREMES.items():
        leads = {member: float(lead(path, np.zeros_like(path), side).mean()) for member, path in paths.items()}
        ordered = sorted(paths, key=lambda member: -leads[member])
        first, rest = frozenset(ordered[:2]), ordered[2:]
        if all(np.all(lead(paths[one], paths[other], side) > MARGIN) for one in first for other in rest):
            yield GroupSentence(f"the two {word} {to_plural(description.phrase)}", first, "place")


def _by_relation(scene: Scene, description: Description, random: np.random.Generator) -> Iterator[GroupSentence]:
    """Yield "the stars left of the red ring": clearly so in every frame, and clearly not for the other stars."""
    for anchor in range(len(scene.things)):
        members = description.members - {anchor}
        paths = _paths(scene, {*members, anchor})
        names = [d.phrase for d in describe(scene, anchor, random) if d.members == {anchor}]
        if paths is None or not names:
            continue
        name = "the " + min(names, key=len)
        for side, templates in SIDES.items():
            leads = {one: lead(paths[one], paths[anchor], side) for one in members}
            beyond = frozenset(one for one, ahead in leads.items() if np.all(ahead > MARGIN))
            before = frozenset(one for one, ahead in leads.items() if np.all(ahead < 0))
            if len(beyond) >= 2 and before and beyond | before == members:
                for template in templates:
                    filled = template.replace("{a}", name)
                    yield from _say(filled, description, beyond, "relation")


def _paths(scene: Scene, things: Iterable[int]) -> dict[int, NDArray[np.float64]] | None:
    """Return the centres `(T, 2)` of things; None where one of them leaves the view, and has no place then."""
    chosen = {thing: scene.things[thing] for thing in things}
    if any(leaves_view(thing.motion) for thing in chosen.values()):
        return None
    return {number: thing.path.centres for number, thing in chosen.items()}


def _say(template: str, description: Description, things: frozenset[int], kind: GroupKind) -> Iterator[GroupSentence]:
    """Yield a template that begins with "the" about several things: all, every, their number."""
    _, rest = template.split(" ", 1)
    # Words before the noun have no verb, and an anchor behind it has none either: only a relative clause has.
    plural = " ".join(_PLURAL_VERBS.get(word, word) for word in rest.split())
    many = plural.replace("{c}", to_plural(description.phrase))
    starts = ["all", "the"] + ([NUMBERS[len(things)]] if len(things) in NUMBERS else [])
    for start in starts:
        yield GroupSentence(f"{'the ' if start in NUMBERS.values() else ''}{start} {many}", things, kind)
    yield GroupSentence(f"every {rest.replace('{c}', description.phrase)}", things, kind)


def to_plural(phrase: str) -> str:
    """Return a noun phrase with its noun in the plural."""
    words = phrase.split()
    return " ".join(w + ("es" if w.endswith(("x", "s")) else "s") if w in _NOUNS else w for w in words)
