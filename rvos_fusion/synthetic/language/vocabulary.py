"""Every word that the synthetic expressions use."""

from __future__ import annotations

WORDS: tuple[str, ...] = (
    "a", "above", "all", "and", "are", "around", "at", "away", "back", "ball", "balls", "below", "big",
    "bigger", "blue", "both", "bottom", "box", "boxes", "checkered", "checks", "circle", "circles", "circling",
    "climbing", "closest", "come", "comes", "coming", "cross", "crosses", "do", "does", "dots", "dotted",
    "down", "downwards", "every", "forth", "four", "getting", "go", "goes", "green", "grow", "growing", "grows",
    "heading", "in", "into", "is", "leave", "leaves", "leaving", "left", "leftmost", "lowest", "moon", "moons",
    "move", "moves", "moving", "nearest", "not", "object", "objects", "of", "on", "orange", "out", "picture",
    "pink", "place", "plain", "purple", "red", "return", "returns", "right", "rightmost", "ring", "rings",
    "rotating", "round", "shrink", "shrinking", "shrinks", "side", "small", "smaller", "spinning", "square",
    "squares", "standing", "star", "stars", "staying", "still", "striped", "stripes", "that", "the", "thing",
    "things", "three", "to", "top", "topmost", "triangle", "triangles", "turn", "turns", "two", "up", "upwards",
    "view", "white", "with", "yellow",
)  # fmt: skip
