"""Every word that the synthetic expressions use."""

from __future__ import annotations

WORDS: tuple[str, ...] = (
    "a", "above", "and", "around", "at", "away", "back", "ball", "below", "big", "bigger", "blue", "bottom",
    "box", "checkered", "checks", "circle", "circling", "climbing", "closest", "comes", "coming", "cross",
    "does", "dots", "dotted", "down", "downwards", "forth", "getting", "goes", "green", "growing", "grows",
    "heading", "in", "into", "is", "leaves", "leaving", "left", "leftmost", "lowest", "moon", "move", "moving",
    "nearest", "not", "object", "of", "on", "orange", "out", "picture", "pink", "place", "plain", "purple",
    "red", "returns", "right", "rightmost", "ring", "rotating", "round", "shrinking", "shrinks", "side",
    "small", "smaller", "spinning", "square", "standing", "star", "staying", "still", "striped", "stripes",
    "that", "the", "thing", "to", "top", "topmost", "triangle", "turns", "up", "upwards", "view", "white",
    "with", "yellow",
)  # fmt: skip
