"""The token numbers of phrases, as CLIP's byte pairs give them.

Source: docs/specs/sam3.md, section 9.
"""

from __future__ import annotations

import html
import json
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
