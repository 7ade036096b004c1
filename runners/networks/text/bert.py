"""BERT without pooling, built offline."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from rvos.settings import Chance, Count, Size

# BERT's own; everything around it has 1e-5.
_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class TextSizes:
    """BERT; defaults are bert-base-uncased."""

    vocabulary: Size = 30522
    width: Size = 768
    layers: Count = 12
    heads: Count = 12
    feed_forward: Size = 3072
    positions: Size = 512
    max_tokens: Size = 256
    dropout: Chance = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Tokens `(B, n, D)` of B expressions and their mask `(B, n)` bool, true for real ones, [CLS] and [SEP] too."""

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
        from transformers import BertConfig, BertModel

        super().__init__()
        config = BertConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.feed_forward,
            max_position_embeddings=sizes.positions,
            layer_norm_eps=_EPSILON,
            hidden_dropout_prob=sizes.dropout,
            attention_probs_dropout_prob=sizes.dropout,
        )
        # The released files have no pooler.
        self.model = BertModel(config, add_pooling_layer=False)


class TextEncoder(nn.Module):
    """BERT without pooling; its last hidden states."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.body = BertHolder(sizes)

    def forward(self, ids: Tensor, mask: Tensor) -> Text:
        """Return the tokens of ids `(B, n)`; `mask` `(B, n)` is 1 for real tokens."""
        hidden = self.body.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return Text(hidden, mask.bool())
