"""BERT, the clean-up of expressions, and the word-piece tokeniser with a guard against silent failure."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizer

from runners.networks.uninext.config import TextSizes
from rvos.errors import ConfigError, InputError

_DELETED = str.maketrans("", "", ".,'!?\"()*#:;")
_BLANKED = str.maketrans("-/", "  ")
_PAD, _UNKNOWN, _CLS, _SEP = 0, 100, 101, 102
_SPECIAL_IDS = {"[PAD]": _PAD, "[UNK]": _UNKNOWN, "[CLS]": _CLS, "[SEP]": _SEP}
_KNOWN_IDS = {"hello world": [7592, 2088], "the man": [1996, 2158], "a person": [1037, 2711]}
_SHOWN = 60
_logger = logging.getLogger(__name__)
# BERT's own; everything around it has 1e-5.
_EPS = 1e-12


def clean_expression(text: str) -> str:
    """Return the expression as the network was trained on it: lower case, punctuation dropped or blanked.

    Source: uninext.md, section 2; white space stays as it falls.
    """
    return text.lower().translate(_DELETED).translate(_BLANKED)


class WordPieces:
    """bert-base-uncased word pieces from a folder with `vocab.txt`.

    Args:
        vocabulary: word piece -> id.
        max_tokens: longest expression, special tokens included.
    """

    def __init__(self, vocabulary: Mapping[str, int], max_tokens: int) -> None:
        # The keyword `vocab_file` is ignored without a word by the library: every token would be unknown.
        self._tokenizer = BertTokenizer(vocab=dict(vocabulary), do_lower_case=True)
        self._vocabulary_size = len(vocabulary)
        self._max_tokens = max_tokens

    @classmethod
    def from_folder(cls, folder: Path, *, max_tokens: int = 256) -> WordPieces:
        """Return the tokeniser in `folder`.

        Raises:
            ConfigError: no readable `vocab.txt`, or a known sentence gets other ids than in bert-base-uncased.
        """
        file = folder / "vocab.txt"
        try:
            words = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise ConfigError(f"{folder}: no vocab.txt; give the folder with the files of bert-base-uncased") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read ({error}); copy it again") from None
        vocabulary = {word: index for index, word in enumerate(words)}
        found = [vocabulary.get(word) for word in _SPECIAL_IDS]
        if found != list(_SPECIAL_IDS.values()):
            raise ConfigError(
                f"{file}: {', '.join(_SPECIAL_IDS)} have the ids {found}, expected {list(_SPECIAL_IDS.values())}; "
                "give the vocab.txt of bert-base-uncased"
            )
        tokens = cls(vocabulary, max_tokens)
        for text, expected in _KNOWN_IDS.items():
            ids = tokens.pieces(text)
            if ids != expected:
                raise ConfigError(
                    f"{file}: {text!r} gives the ids {ids}, expected {expected}; give the vocab.txt of "
                    "bert-base-uncased"
                )
        return tokens

    @property
    def vocabulary_size(self) -> int:
        """Number of word pieces."""
        return self._vocabulary_size

    def pieces(self, text: str) -> list[int]:
        """Return the ids of a text alone, without [CLS] and [SEP]."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids `(B, L)` int64 and attention mask `(B, L)` int64 (1 = token), padded to the longest.

        An expression that is too long is cut, and one without a known piece kept, both with a warning.

        Raises:
            InputError: no expression, or one without words.
        """
        if not texts:
            raise InputError("tokeniser: no expressions; give at least one")
        rows = [self._row(text) for text in texts]
        longest = max(len(row) for row in rows)
        # Padded to the longest, not to 256 as officially: padding changes nothing but the time.
        ids = torch.tensor([row + [_PAD] * (longest - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return ids, (torch.arange(longest) < lengths[:, None]).long()

    def _row(self, text: str) -> list[int]:
        """Return the ids of one text with its special tokens, cut to the longest length."""
        pieces = self.pieces(text)
        if not pieces:
            raise InputError(f"expression {text!r}: it has no words; give a sentence")
        if all(piece == _UNKNOWN for piece in pieces):
            _logger.warning("expression %r: none of its words is known to the tokeniser", text[:_SHOWN])
        if len(pieces) + 2 > self._max_tokens:
            _logger.warning("expression %r...: %d tokens, cut to %d", text[:_SHOWN], len(pieces) + 2, self._max_tokens)
        return [_CLS, *pieces[: self._max_tokens - 2], _SEP]


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
        # [CLS] and [SEP] count: officially they do.
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
                hidden_dropout_prob=sizes.dropout,
                attention_probs_dropout_prob=sizes.dropout,
            ),
            # The released files have no pooler.
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
