"""From expressions to token ids: RoBERTa's byte pairs from the user's files, or the project's own short word list.

Ids of both: `<s>` 0, padding 1, `</s>` 2, unknown 3.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from rvos.errors import ConfigError, InputError, explain

BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3
_FIRST_WORD = 4
_ROBERTA_VOCABULARY = 50265
SHOWN_TEXT = 60
"""Characters of an expression that warnings show."""
# A tokeniser that was set up wrongly gives ids without complaint, so a few known ones are compared.
KNOWN_IDS: Mapping[str, tuple[int, ...]] = {
    "Hello world": (31414, 232),
    "a person": (102, 621),
    "the person on the right": (627, 621, 15, 5, 235),
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids before and after an expression, and behind the shorter ones of a batch."""

    first: int = BOS
    last: int = EOS
    padding: int = PAD


class Tokens(Protocol):
    """A tokeniser."""

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids `(B, L)` int64, padded on the right, and the mask `(B, L)` int64, 1 = token.

        An expression that is too long is cut, which is logged as a warning.

        Raises:
            InputError: no expression, or an empty one.
        """


class RobertaTokens:
    """Byte-level byte pairs of roberta-base: any text has tokens, though the language model learnt English only.

    Args:
        tokenizer: without special tokens.
        max_tokens: that the language model has positions for.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int = 512) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    @classmethod
    def from_folder(cls, folder: Path, *, max_tokens: int = 512) -> RobertaTokens:
        """Return roberta-base's tokeniser of `tokenizer.json`, or `vocab.json` and `merges.txt`; else ConfigError."""
        tokens = cls(_read_tokenizer(folder), max_tokens=max_tokens)
        for text, expected in KNOWN_IDS.items():
            found = tokens.pieces(text)
            if tuple(found) != expected:
                raise ConfigError(
                    f"{folder}: {text!r} gives the ids {found[:8]}, expected {list(expected)}; "
                    "give the vocabulary and merges of roberta-base"
                )
        return tokens

    def pieces(self, text: str) -> list[int]:
        """Return the ids of a text alone, without `<s>` and `</s>`."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids and mask; see `Tokens`."""
        return to_batch(texts, [self.pieces(text) for text in texts], self._max_tokens)


def _read_tokenizer(folder: Path) -> Tokenizer:
    whole, vocabulary, merges = folder / "tokenizer.json", folder / "vocab.json", folder / "merges.txt"
    try:
        if vocabulary.is_file() and merges.is_file():
            tokenizer = Tokenizer(BPE.from_file(str(vocabulary), str(merges)))
            # No space before the first word: with one, its tokens are others than the networks were trained on.
            tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
            tokenizer.decoder = ByteLevelDecoder()
            return tokenizer
        if whole.is_file():
            tokenizer = Tokenizer.from_file(str(whole))
            # Files of the hub may carry both; cutting and padding is done here, with a warning.
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return tokenizer
    # The library raises plain exceptions for damaged files.
    except Exception as error:
        raise ConfigError(
            f"{folder}: the tokeniser's files cannot be read ({explain(error)}); copy them again"
        ) from None
    raise ConfigError(
        f"{folder}: no tokeniser files; put vocab.json and merges.txt, or tokenizer.json, of roberta-base there"
    )


class SmallTokens:
    """One id a word of the project's own list; others are unknown, with a warning. `max_tokens` counts special ones."""

    def __init__(self, *, max_tokens: int = 64) -> None:
        listed = files("runners.networks.text").joinpath("small_vocabulary.txt").read_text(encoding="utf-8").split()
        self._ids = {word: _FIRST_WORD + index for index, word in enumerate(listed)}
        self._max_tokens = max_tokens

    @property
    def vocabulary_size(self) -> int:
        """Ids in use, special ones included."""
        return _FIRST_WORD + len(self._ids)

    @property
    def words(self) -> frozenset[str]:
        """The known words, lower case."""
        return frozenset(self._ids)

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids and mask; see `Tokens`."""
        split = [re.findall(r"\w+", text.lower()) for text in texts]
        unknown = sorted({word for words in split for word in words if word not in self._ids})
        if unknown:
            _logger.warning("%d words are not in the small vocabulary: %s", len(unknown), ", ".join(unknown[:8]))
        pieces = [[self._ids.get(word, UNKNOWN) for word in words] for words in split]
        return to_batch(texts, pieces, self._max_tokens)


def to_batch(
    texts: Sequence[str], pieces: Sequence[list[int]], max_tokens: int, special: SpecialIds | None = None
) -> tuple[Tensor, Tensor]:
    """Return ids and mask of tokenised texts, with special tokens, cut to `max_tokens`; see `Tokens`."""
    if not texts:
        raise InputError("tokeniser: no expressions; give at least one")
    special = special or SpecialIds()
    rows = []
    for text, ids in zip(texts, pieces, strict=True):
        if not ids or not text.strip():
            raise InputError(f"expression {text!r}: it has no words; give a sentence")
        if len(ids) + 2 > max_tokens:
            _logger.warning("expression %r...: %d tokens, cut to %d", text[:SHOWN_TEXT], len(ids) + 2, max_tokens)
        rows.append([special.first, *ids[: max_tokens - 2], special.last])
    # Padded to the longest, not to a fixed length as officially: padding changes nothing but the time.
    longest = max(len(row) for row in rows)
    batch = torch.tensor([row + [special.padding] * (longest - len(row)) for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    return batch, (torch.arange(longest) < lengths[:, None]).long()


def fit_tokens(folder: Path | None, *, vocabulary: int, max_tokens: int, where: str) -> Tokens:
    """Return the tokeniser of roberta-base in a folder, or the small one of the demo networks; `where`: for messages.

    Raises:
        ConfigError: the files are missing, or do not fit a network of so many word ids.
    """
    if folder is not None:
        if vocabulary < _ROBERTA_VOCABULARY:
            raise ConfigError(
                f"{where}: reads the small word list ({vocabulary} ids), not roberta-base; drop `tokenizer`"
            )
        return RobertaTokens.from_folder(folder, max_tokens=max_tokens)
    if vocabulary >= _ROBERTA_VOCABULARY:
        raise ConfigError(
            f"{where}: reads roberta-base tokens; give `tokenizer`, a folder with its vocab.json and merges.txt"
        )
    tokens = SmallTokens(max_tokens=max_tokens)
    if tokens.vocabulary_size > vocabulary:
        raise ConfigError(
            f"{where}: knows {vocabulary} word ids, the word list has {tokens.vocabulary_size}; "
            "give a network that knows as many"
        )
    return tokens
