"""Words of a recipe as numbers, for `RecipeText.convert`."""

from __future__ import annotations

PRECISIONS = ("float32", "float16", "bfloat16")


def count(word: str) -> int:
    """Return a whole number from 1.

    Raises:
        ValueError: anything else.
    """
    if int(word) < 1:
        raise ValueError(word)
    return int(word)


def natural(word: str) -> int:
    """Return a whole number from 0.

    Raises:
        ValueError: anything else.
    """
    if int(word) < 0:
        raise ValueError(word)
    return int(word)


def positive(word: str) -> float:
    """Return a finite number above 0.

    Raises:
        ValueError: anything else.
    """
    if not 0 < float(word) < float("inf"):
        raise ValueError(word)
    return float(word)
