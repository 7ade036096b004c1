"""Expressions that are true of nothing in a scene although their object is there: one thing that they say is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rvos_fusion.synthetic.appearance import COLOURS, SHAPES, TEXTURES, Look
from rvos_fusion.synthetic.language.sentences import MARGIN, MOTIONS, SIDES, Description, describe, lead, name_look
from rvos_fusion.synthetic.language.several import NUMBERS, to_plural
from rvos_fusion.synthetic.motion import SAYABLE, holds, leaves_view
from rvos_fusion.synthetic.scenes import Scene, Thing

Wrong = Literal["direction", "count", "order", "relation", "attribute"]
WRONGS: tuple[Wrong, ...] = ("direction", "count", "order", "relation", "attribute")
_CONTRARY = {"left": "right", "right": "left", "up": "down", "down": "up"}
_REVERSED = {"leave": "enter", "enter": "leave", "grow": "shrink", "shrink": "grow"}
"""What a thing would do if time ran backwards."""
_OPPOSITE_SIDE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
_VALUES = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES}


@dataclass(frozen=True, slots=True)
class Falsehood:
    """One expression, lower case without punctuation, and what of it is wrong."""

    text: str
    wrong: Wrong


def write_falsehood(
    scene: Scene, random: np.random.Generator, *, counts: dict[Wrong, int], said: Collection[str]
) -> Falsehood | None:
    """Return an expression whose wrong part is the rarest so far that the scene allows; None where it allows none.

    Args:
        counts: how often each was written before; what is returned is counted.
        said: expressions that are not to be repeated.
    """
    found = sorted({one for one in candidates(scene, random) if one.text not in said}, key=lambda one: one.text)
    for wrong in sorted(WRONGS, key=lambda one: (counts[one], WRONGS.index(one))):
        fitting = [one for one in found if one.wrong == wrong]
        if fitting:
            counts[wrong] += 1
            return fitting[int(random.integers(len(fitting)))]
    return None


def candidates(scene: Scene, random: np.random.Generator) -> Iterator[Falsehood]:
    """Yield false expressions about the things of a scene, of all sorts; some more than once."""
    for thing, own in enumerate(scene.things):
        for description in describe(scene, thing, random):
            if _is_vague(scene, description):
                continue
            yield from _wrong_motion(scene, description, own, _CONTRARY, "direction")
            yield from _wrong_motion(scene, description, own, _REVERSED, "order")
            yield from _wrong_count(description)
            yield from _wrong_relation(scene, description, thing, random)
        yield from _wrong_attribute(scene, own.look, random)


def _is_vague(scene: Scene, description: Description) -> bool:
    """Tell whether a word for the size is said where sizes change."""
    is_sized = any(word in ("big", "small") for word in description.phrase.split())
    return is_sized and any(one.motion in ("grow", "shrink") for one in scene.things)


def _wrong_motion(
    scene: Scene, description: Description, own: Thing, contrary: dict[str, str], wrong: Wrong
) -> Iterator[Falsehood]:
    """Yield that a thing does the contrary of what it does, where nothing that the phrase fits does, in any sense."""
    for predicate in sorted(SAYABLE[own.motion] & contrary.keys()):
        said = contrary[predicate]
        if not any(said in holds(scene.things[member].motion) for member in description.members):
            for template in MOTIONS[said]:
                yield Falsehood(template.format(c=description.phrase), wrong)


def _wrong_count(description: Description) -> Iterator[Falsehood]:
    """Yield numbers larger than there are things: of three, two could be meant."""
    for number, word in NUMBERS.items():
        if number > len(description.members):
            yield Falsehood(f"the {word} {to_plural(description.phrase)}", "count")


def _wrong_relation(
    scene: Scene, description: Description, thing: int, random: np.random.Generator
) -> Iterator[Falsehood]:
    """Yield a side of an anchor on which none of those is that the phrase fits: they are clearly on the other one."""
    for anchor, base in enumerate(scene.things):
        members = description.members - {anchor}
        if anchor == thing or any(leaves_view(scene.things[one].motion) for one in {*members, anchor}):
            continue
        names = [one.phrase for one in describe(scene, anchor, random) if one.members == {anchor}]
        if not names or base.look == scene.things[thing].look:
            continue
        name = "the " + min(names, key=len)
        for side, templates in SIDES.items():
            leads = (lead(scene.things[one].path.centres, base.path.centres, _OPPOSITE_SIDE[side]) for one in members)
            if all(np.all(ahead > MARGIN) for ahead in leads):
                for template in templates:
                    yield Falsehood(template.format(c=description.phrase, a=name), "relation")


def _wrong_attribute(scene: Scene, look: Look, random: np.random.Generator) -> Iterator[Falsehood]:
    """Yield a look with one attribute of another thing in place of its own, which nothing in the scene has."""
    others = [thing.look for thing in scene.things if thing.look != look]
    for name, values in _VALUES.items():
        # What another thing of the scene has misleads most.
        near = sorted({str(getattr(other, name)) for other in others} - {str(getattr(look, name))})
        for value in near or sorted(set(values) - {str(getattr(look, name))}):
            changed = replace(look, **{name: value})
            for kept in ("shape", "colour", "texture"):
                if kept != name and not any(_shares(thing.look, changed, (name, kept)) for thing in scene.things):
                    phrase = name_look(changed, (name, kept), random)
                    yield from (Falsehood(f"{article} {phrase}", "attribute") for article in ("the", "a"))


def _shares(look: Look, other: Look, names: tuple[str, ...]) -> bool:
    return all(getattr(look, name) == getattr(other, name) for name in names)
