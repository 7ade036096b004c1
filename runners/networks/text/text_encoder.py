"""RoBERTa, built offline, and the resizer to the network's width; checkpoints hold both. Source: text_encoder.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from runners.networks.attention.positions import sine_encoding_1d
from rvos.settings import Chance, Count, Range, Size

# Not the 1e-5 of the transformers around it.
_RESIZER_EPSILON = 1e-12
# Buffers that older library versions stored with the text encoder; they are constants.
IGNORED_TEXT_KEYS = (r"embeddings\.position_ids$", r"embeddings\.token_type_ids$")


_FEWEST_TOKENS = 3  # `<s>`, one word, `</s>`


@dataclass(frozen=True, slots=True)
class TextConfig:
    """Sizes of the language model; the defaults are roberta-base.

    Args:
        vocab_size: rows of the word table; special ids are bos 0, pad 1, eos 2, unknown 3.
        max_tokens: longest expression in tokens, `<s>` and `</s>` included; the position table has two rows more.
    """

    vocab_size: Size = 50265
    hidden: Size = 768
    layers: Count = 12
    heads: Count = 12
    intermediate: Size = 3072
    max_tokens: Annotated[int, Range(least=_FEWEST_TOKENS, most=1_000_000)] = 512
    dropout: Chance = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """What the network reads of B expressions.

    Args:
        words: `(B, L, C)`; `<s>` and `</s>` count as words.
        padding_mask: `(B, L)` bool, true = padding.
        sentence: `(B, C)`.
        position: `(B, L, C)` sine encoding of the words.
    """

    words: Tensor
    padding_mask: Tensor
    sentence: Tensor
    position: Tensor


def stack_texts(texts: Sequence[TextFeatures]) -> TextFeatures:
    """Return single expressions as one batch, padded on the right to the longest."""
    longest = max(text.words.shape[1] for text in texts)

    def pad(values: Tensor, filler: float) -> Tensor:
        missing = longest - values.shape[1]
        shape = (values.shape[0], missing, *values.shape[2:])
        return torch.cat((values, values.new_full(shape, filler)), 1)

    return TextFeatures(
        torch.cat([pad(text.words, 0.0) for text in texts]),
        torch.cat([pad(text.padding_mask, 1.0) for text in texts]),
        torch.cat([text.sentence for text in texts]),
        torch.cat([pad(text.position, 0.0) for text in texts]),
    )


def build_roberta(config: TextConfig) -> nn.Module:
    """Return a `RobertaModel` with pooler and random weights; nothing is fetched."""
    from transformers import RobertaConfig, RobertaModel

    sizes = RobertaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        # Positions count from 2: row 1 belongs to padding, row 0 to nobody.
        max_position_embeddings=config.max_tokens + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    return RobertaModel(sizes, add_pooling_layer=True)


class Resizer(nn.Module):
    """Linear layer and layer norm, for words and sentence alike."""

    def __init__(self, inputs: int, channels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, channels)
        self.layer_norm = nn.LayerNorm(channels, eps=_RESIZER_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return `(..., channels)`."""
        return self.dropout(self.layer_norm(self.fc(features)))


def encode_text(encoder: nn.Module, resizer: nn.Module, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
    """Return features of ids `(B, L)` int64, padded right with 1, and their mask (1 = token), by a `RobertaModel`."""
    # (B, L) -> words (B, L, hidden) and the pooled first word (B, hidden), one resizer for both
    output = encoder(input_ids=ids, attention_mask=attention_mask)
    words = resizer(output.last_hidden_state)
    padding_mask = attention_mask != 1
    position = sine_encoding_1d(padding_mask, words.shape[-1]).to(words.dtype)
    return TextFeatures(words, padding_mask, resizer(output.pooler_output), position)
