"""What a sentence speaks of, by its words alone, without grammar; often of several things."""

from __future__ import annotations

import re

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _inflect(stems: str) -> frozenset[str]:
    """Return verbs with their regular endings."""
    found = set(stems.split())
    for stem in stems.split():
        short = stem.removesuffix("e")
        endings = (f"{stem}s", f"{stem}es", f"{short}ing", f"{short}ed", f"{stem}{stem[-1]}ing", f"{stem}{stem[-1]}ed")
        found.update(endings)
    return frozenset(found)


SPOKEN_OF = {
    "motion": _inflect(
        """move go walk run jump climb fly swim turn spin rotate leave enter return come grow shrink head circle fall
        rise chase follow ride drive push pull throw catch kick swing roll slide crawl dance wave shake lift drop eat
        drink lean bend stop start approach cross pass play fight hop flip dive bounce drift sway stand sit lie stay"""
    )
    | _words("getting still back-and-forth upwards downwards forward backward forwards backwards went ran lying dying"),
    "position": _words(
        """left right top bottom middle center centre front back leftmost rightmost topmost lowest highest side corner
        edge upper lower foreground background"""
    ),
    "colour": _words(
        """red green blue yellow purple orange pink white black brown grey gray golden gold silver beige violet dark
        light bright pale colour color coloured colored colorful colourful"""
    ),
    "relation": _words(
        """next beside besides near nearest nearer closest closer farthest furthest behind between above below under
        over among bigger smaller larger taller shorter biggest smallest largest tallest shortest than other another
        same together following chasing holding riding carrying"""
    ),
    "plural": _words(
        """two three four five six seven eight nine ten both all several many every each group pair couple they them
        their"""
    ),
    "negation": _words("not no never without none nothing neither nor cannot"),
}
"""What is spoken of -> the words that tell."""


def find_spoken_of(text: str) -> tuple[str, ...]:
    """Return what a sentence speaks of, in the order of `SPOKEN_OF`; nothing where no word tells."""
    words = frozenset(_WORD.findall(text.lower().replace("\u2019", "'")))
    found = {name for name, own in SPOKEN_OF.items() if words & own}
    if any(word.endswith("n't") for word in words):
        found.add("negation")
    if re.search(r"\b(?:left|right|front) of\b", text.lower()):
        found.add("relation")
    return tuple(name for name in SPOKEN_OF if name in found)
