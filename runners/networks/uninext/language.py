"""BERT, the clean-up of expressions, and the word-piece tokeniser with a guard against silent failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizer

from runners.networks.uninext.config import TextSizes
from rvos.errors import ConfigError, InputError

_DELETED = str.maketrans("", "", ".,'!?\"()*#:;")
_BLANKED = str.maketrans("-/", "  ")
_PAD = 0
_GUARD = "the man in a red shirt"
_GUARD_IDS = [101, 1996, 2158, 1999, 1037, 2417, 3797, 102]
_EPS = 1e-12


def clean_expression(text: str) -> str:
    """Return the expression as the network was trained on it: lower case, punctuation dropped or blanked.

    Source: uninext, section 2; white space stays as it falls.
    """
    return text.lower().translate(_DELETED).translate(_BLANKED)


class WordPieces:
    """bert-base-uncased word pieces from a folder with `vocab.txt`."""

    def __init__(self, tokenizer: BertTokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    @classmethod
    def from_folder(cls, folder: Path, max_tokens: int = 256) -> WordPieces:
        """Return the tokeniser in `folder`.

        Raises:
            ConfigError: no `vocab.txt`, or a known sentence gets other ids than in bert-base-uncased.
        """
        vocabulary = folder / "vocab.txt"
        if not vocabulary.is_file():
            raise ConfigError(f"{folder}: no vocab.txt; give the folder with the files of bert-base-uncased")
        try:
            entries = vocabulary.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{vocabulary}: cannot be read ({error}); copy it again") from None
        tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(entries)}, do_lower_case=True)
        found = tokenizer(_GUARD)["input_ids"]
        if found != _GUARD_IDS:
            raise ConfigError(
                f"{vocabulary}: {_GUARD!r} becomes {found}, expected {_GUARD_IDS}; "
                "give the vocab.txt of bert-base-uncased"
            )
        return cls(tokenizer, max_tokens)

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids `(B, L)` int64 and attention mask `(B, L)` int64 (1 = token), padded to the longest.

        Raises:
            InputError: no text at all.
        """
        if not texts:
            raise InputError("tokeniser: no expression was given; give at least one")
        rows = [self._tokenizer(text, truncation=True, max_length=self._max_tokens)["input_ids"] for text in texts]
        longest = max(len(row) for row in rows)
        ids = torch.tensor([row + [_PAD] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        return ids, mask


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Tokens of B expressions.

    Args:
        tokens: `(B, n, D)`.
        mask: `(B, n)` bool, true for real tokens; [CLS] and [SEP] are real.
    """

    tokens: Tensor
    mask: Tensor

    def select(self, expressions: Tensor) -> Text:
        """Return the expressions of these indices, `(M,)` int64; repeats are allowed."""
        return Text(self.tokens[expressions], self.mask[expressions])

    def mean(self) -> Tensor:
        """Return the mean over the real tokens, `(B, D)`."""
        weights = self.mask[..., None].to(self.tokens.dtype)
        return (self.tokens * weights).sum(1) / weights.sum(1)


class BertHolder(nn.Module):
    """Carries the name `model` of the released state dicts."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.model = BertModel(
            BertConfig(
                vocab_size=sizes.vocabulary,
                hidden_size=sizes.width,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.heads,
                intermediate_size=sizes.feed_forward,
                max_position_embeddings=sizes.positions,
                layer_norm_eps=_EPS,
            ),
            add_pooling_layer=False,
        )


class TextEncoder(nn.Module):
    """BERT without pooling; its last hidden states."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.body = BertHolder(sizes)

    def forward(self, ids: Tensor, mask: Tensor) -> Text:
        """Return the tokens of ids `(B, n)`; `mask` `(B, n)` is 1 for real tokens."""
        hidden = self.body.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return Text(hidden, mask.bool())
