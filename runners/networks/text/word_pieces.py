"""Word pieces of bert-base-uncased from the user's files, with a guard against silent failure."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from runners.networks.text.bert import TextSizes
from runners.networks.text.tokenizers import SHOWN_TEXT, SmallTokens, SpecialIds, Tokens, to_batch
from rvos.errors import ConfigError, explain

_UNKNOWN = 100
_IDS = SpecialIds(first=101, last=102, padding=0)
_SPECIAL_IDS = {"[PAD]": _IDS.padding, "[UNK]": _UNKNOWN, "[CLS]": _IDS.first, "[SEP]": _IDS.last}
_KNOWN_IDS = {"hello world": [7592, 2088], "the man": [1996, 2158], "a person": [1037, 2711]}
_logger = logging.getLogger(__name__)


class WordPieces:
    """bert-base-uncased's pieces (word piece -> id); an expression has at most `max_tokens`, special ones included."""

    def __init__(self, vocabulary: Mapping[str, int], max_tokens: int) -> None:
        from transformers import BertTokenizer

        # The keyword `vocab_file` is ignored without a word by the library: every token would be unknown.
        self._tokenizer = BertTokenizer(vocab=dict(vocabulary), do_lower_case=True)
        self.vocabulary_size = len(vocabulary)
        self._max_tokens = max_tokens

    @classmethod
    def from_folder(cls, folder: Path, *, max_tokens: int = 256) -> WordPieces:
        """Return the tokeniser; ConfigError: no readable `vocab.txt`, or a known sentence gets others' ids."""
        file = folder / "vocab.txt"
        try:
            words = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise ConfigError(f"{folder}: no vocab.txt; give the folder with the files of bert-base-uncased") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read ({explain(error)}); copy it again") from None
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

    def pieces(self, text: str) -> list[int]:
        """Return the ids of a text alone, without [CLS] and [SEP]."""
        return self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids and mask; see `Tokens`. A text without a known piece is kept, with a warning."""
        pieces = [self.pieces(text) for text in texts]
        for text, own in zip(texts, pieces, strict=True):
            if own and all(piece == _UNKNOWN for piece in own):
                _logger.warning("expression %r: none of its words is known to the tokeniser", text[:SHOWN_TEXT])
        return to_batch(texts, pieces, self._max_tokens, _IDS)


def fit_word_pieces(folder: Path | None, *, vocabulary: int, max_tokens: int, where: str) -> Tokens:
    """Return the tokeniser of bert-base-uncased in a folder, or the small one of the demo networks; as `fit_tokens`.

    Raises:
        ConfigError: the files are missing, or do not fit the network.
    """
    if folder is None:
        if vocabulary == TextSizes().vocabulary:
            raise ConfigError(f"{where}: no tokenizer; set it to a folder with the vocab.txt of bert-base-uncased")
        return SmallTokens(max_tokens=max_tokens)
    pieces = WordPieces.from_folder(folder, max_tokens=max_tokens)
    if pieces.vocabulary_size != vocabulary:
        raise ConfigError(
            f"{folder}: {pieces.vocabulary_size} word pieces, the network knows {vocabulary}; "
            "give the tokeniser that it was trained with"
        )
    return pieces
