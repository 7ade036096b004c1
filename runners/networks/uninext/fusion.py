"""Early fusion: image and text tokens attend to each other once, with one score matrix for both directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runners.networks.text.bert import Text
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.visual import Visual

# Of the released networks: far above any score in float32, it keeps halves from overflowing.
_LIMIT = 50000.0


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Image and text tokens after the fusion."""

    visual: Tensor
    text: Text


class BiAttention(nn.Module):
    """Scores between image and text tokens, used in both directions. Source: uninext.md, section 5.

    The projections of the image side are folded into the text side: with q = W v + b, a score q . k equals v . (W^T k)
    + b . k, and a sum of projected values equals the projection of the sum. An image token then meets `heads * n`
    numbers instead of three times the inner width.
    """

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        inner, image, text = config.fusion_width, config.width, config.text.width
        self.heads = config.fusion_heads
        self.v_proj = nn.Linear(image, inner)
        self.l_proj = nn.Linear(text, inner)
        self.values_v_proj = nn.Linear(image, inner)
        self.values_l_proj = nn.Linear(text, inner)
        self.out_v_proj = nn.Linear(inner, image)
        self.out_l_proj = nn.Linear(inner, text)
        self.dropout = nn.Dropout(config.fusion_dropout)
        # By the width of one head, 256 as released.
        self.scale = (inner // self.heads) ** -0.5

    def forward(self, visual: Tensor, text: Text) -> tuple[Tensor, Tensor]:
        """Return what to add to image tokens `(N, S, C)` and to text tokens `(N, n, D)`."""
        # One score matrix for both directions, (N, S, heads, n): softmax over the words one way, over the pixels the
        # other.
        scores = self._scores(visual, text)
        return self._to_image(scores, text), self._to_text(scores, visual)

    def _split(self, values: Tensor) -> Tensor:
        """Return `(N, n, heads * c)` as `(N, heads, n, c)`."""
        return torch.unflatten(values, -1, (self.heads, -1)).transpose(1, 2)

    def _by_head(self, weight: Tensor) -> Tensor:
        """Return a projection's weight `(heads * c, C)` as `(heads, c, C)`."""
        return torch.unflatten(weight, 0, (self.heads, -1))

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what image tokens are multiplied with, `(N, heads, n, C)`, and what is added, `(N, heads, n)`."""
        keys = self._split(self.l_proj(tokens)) * self.scale
        # (N, heads, n, c) with (heads, c, C) -> (N, heads, n, C): n words instead of S pixels are projected
        folded = torch.einsum("bhnc,hcd->bhnd", keys, self._by_head(self.v_proj.weight))
        return folded, torch.einsum("bhnc,hc->bhn", keys, self._by_head(self.v_proj.bias))

    def align(self) -> None:
        """Start both sides with one projection where their widths agree: like attends to like from the first step."""
        if self.l_proj.weight.shape == self.v_proj.weight.shape:
            with torch.no_grad():
                self.l_proj.weight.copy_(self.v_proj.weight)

    def word_scores(self, visual: Tensor, words: Tensor) -> Tensor:
        """Return the scores `(N, S, V)`, mean over heads, of image tokens `(N, S, C)` with words `(V, D)`."""
        folded, offsets = self._keys(words[None])
        return visual @ folded[0].mean(0).T + offsets[0].mean(0)

    def _scores(self, visual: Tensor, text: Text) -> Tensor:
        """Return the scores `(N, S, heads, n)`, clamped."""
        folded, offsets = self._keys(text.tokens)
        # (N, S, C) @ (N, C, heads * n) + (N, 1, heads * n)
        scores = torch.baddbmm(offsets.flatten(1)[:, None], visual, folded.flatten(1, 2).transpose(1, 2))
        return torch.unflatten(scores, -1, (self.heads, -1)).clamp(-_LIMIT, _LIMIT)

    def _to_image(self, scores: Tensor, text: Text) -> Tensor:
        """Return the text's contribution to every image token, `(N, S, C)`; padding tokens give none."""
        hidden = ~text.mask[:, None, None]
        # Padded words are hidden from the pixels ...
        weights = self.dropout(scores.masked_fill(hidden, -torch.inf).softmax(-1))
        values = self._split(self.values_l_proj(text.tokens))
        # (C, heads * c) -> (C, heads, c), so that values leave through the output projection before they are summed
        outward = torch.unflatten(self.out_v_proj.weight, 1, (self.heads, -1))
        folded = torch.einsum("bhnc,dhc->bhnd", values, outward)
        return torch.baddbmm(self.out_v_proj.bias, weights.flatten(2), folded.flatten(1, 2))

    def _to_text(self, scores: Tensor, visual: Tensor) -> Tensor:
        """Return the image's contribution to every text token, `(N, n, D)`; padded pixels count as well."""
        # ... but padded pixels are not hidden from the words: more padding changes the text a little. Officially so.
        weights = self.dropout(scores.softmax(1))
        # (N, heads * n, S) @ (N, S, C) -> (N, heads, n, C)
        summed = torch.unflatten(weights.flatten(2).transpose(1, 2) @ visual, 1, (self.heads, -1))
        attended = torch.einsum("bhnd,hcd->bhnc", summed, self._by_head(self.values_v_proj.weight))
        bias = self._by_head(self.values_v_proj.bias)[:, None]
        # The weights of a word sum to 1, except under dropout: the bias counts as often as they say.
        attended = attended + weights.sum(1)[..., None] * bias
        return self.out_l_proj(attended.transpose(1, 2).flatten(2))


class FusionBlock(nn.Module):
    """Normalise both sides, attend both ways, add with channel scales; the sums start from the normalised tokens."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.layer_norm_v = nn.LayerNorm(config.width)
        self.layer_norm_l = nn.LayerNorm(config.text.width)
        self.attn = BiAttention(config)
        self.gamma_v = nn.Parameter(torch.full((config.width,), config.fusion_scale))
        self.gamma_l = nn.Parameter(torch.full((config.text.width,), config.fusion_scale))

    def forward(self, visual: Visual, text: Text) -> Fused:
        """Return the fused tokens of N frames with their N expressions."""
        # From here on the normalised tokens are the tokens: the sums below start from them, not from what came in.
        image = self.layer_norm_v(visual.tokens)
        words = Text(self.layer_norm_l(text.tokens), text.mask)
        delta_visual, delta_text = self.attn(image, words)
        fused_text = Text(words.tokens + self.gamma_l * delta_text, text.mask)
        return Fused(image + self.gamma_v * delta_visual, fused_text)

    def score_words(self, visual: Visual, words: Tensor) -> Tensor:
        """Return how much each image token of F frames attends to each of V single words `(V, D)`: `(F, S, V)`."""
        return self.attn.word_scores(self.layer_norm_v(visual.tokens), self.layer_norm_l(words))


class FusionLayer(nn.Module):
    """Carries the name `b_attn` of the released state dicts."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.b_attn = FusionBlock(config)
