"""The token numbers of phrases, as CLIP's byte pairs give them.

Source: docs/specs/sam3.md, section 9.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from deaot_toolkit.errors import CheckpointError
from torch import Tensor
from transformers import CLIPTokenizer

N_TOKENS = 32
"""Of every phrase, with its two ends; what is longer is cut."""
FILES = ("vocab.json", "merges.txt")


class Phrases:
    """A vocabulary of byte pairs; its last two entries start and end a phrase, and 0 fills it up.

    Args:
        vocabulary: number of each piece.
        merges: pairs that become one piece, the first come first.
    """

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
        # The filler is put in by hand: the library would take the mark for it out of the text too.
        self._tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges)
        self._end = max(vocabulary.values())

    @classmethod
    def from_folder(cls, folder: Path, *, size: int) -> Phrases:
        """Return the vocabulary in a folder such as the hub's of SAM 3 or of CLIP.

        Args:
            size: entries that the network has.

        Raises:
            CheckpointError: files are missing, damaged, or of another vocabulary.
        """
        try:
            vocabulary = json.loads((folder / FILES[0]).read_bytes())
            lines = (folder / FILES[1]).read_text(encoding="utf-8").splitlines()
            # The first line tells the version.
            merges = [(left, right) for left, right in (line.split() for line in lines[1:] if line.strip())]
            if not all(type(number) is int for number in vocabulary.values()):
                raise ValueError("vocab.json holds no numbers")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:120]
            raise CheckpointError(
                f"{folder}: no vocabulary of byte pairs ({reason}); give the hub's folder of SAM 3, with "
                f"{' and '.join(FILES)}"
            ) from None
        if sorted(vocabulary.values()) != list(range(size)):
            raise CheckpointError(
                f"{folder}: a vocabulary of {len(vocabulary)}, the network has {size}; give CLIP's vocabulary"
            )
        return cls(vocabulary, merges)

    def encode(self, phrase: str) -> Tensor:
        """Return the token numbers `(1, 32)` int64 of a phrase."""
        plain = " ".join(html.unescape(html.unescape(phrase)).split()).lower()
        numbers = self._tokenizer(plain)["input_ids"]
        if len(numbers) > N_TOKENS:
            numbers = [*numbers[: N_TOKENS - 1], self._end]
        return torch.tensor([[*numbers, *[0] * (N_TOKENS - len(numbers))]])


def learn_pairs(words: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return a vocabulary and merges that make each of `words` one piece; all other words have their bytes.

    The commonest pair of neighbours becomes a piece, again and again; of equally common ones the first by spelling.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(code) for code in (*printable, *range(256, 512 - len(printable)))]
    merges: list[tuple[str, str]] = []
    spelled = [(*word[:-1], f"{word[-1]}</w>") for word in words]
    while pairs := Counter(pair for pieces in spelled for pair in pairwise(pieces)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_join(pieces, best) for pieces in spelled]
    ends = ("<|startoftext|>", "<|endoftext|>")
    pieces = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *(left + right for left, right in merges), *ends]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def _join(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)
