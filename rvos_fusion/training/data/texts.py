"""Sentences as networks read them in training."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from runners.networks.text.tokenizers import SmallTokens
from rvos.errors import ConfigError
from rvos.videos import Expression

FIRST_WORD = 4
"""Of the tokeniser's numbers; those below are no words."""
_OTHER_SIDE = {"left": "right", "right": "left"}


def text_of(expression: Expression) -> str:
    """Return a sentence in lower case, its words one space apart."""
    return " ".join(expression.text.lower().split())


def mirror_text(text: str) -> str:
    """Return a text with "left" and "right" exchanged, in "leftmost" too. Source: soc.md, section 6.3."""
    return re.sub("left|right", lambda side: _OTHER_SIDE[side[0]], text)


def mark_words(texts: Sequence[str], tokens: SmallTokens, n_words: int, *, mirrored: bool) -> Tensor:
    """Return `(n_words,)` float32, 1 for each word of what is said of an object."""
    row = torch.zeros(n_words)
    if texts:
        row[tokens.encode([mirror_text(text) if mirrored else text for text in texts])[0].flatten()] = 1
        row[:FIRST_WORD] = 0
    return row


def check_vocabulary(n_words: int, *, where: str) -> None:
    """Raise ConfigError where a network has no place for every word of the tokeniser."""
    known = SmallTokens().vocabulary_size
    if n_words < known:
        raise ConfigError(f"{where} is {n_words}, the tokeniser has {known} words; set at least that")
