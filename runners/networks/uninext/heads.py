"""The classifiers of queries and proposals."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Of the released networks; it keeps halves from overflowing.
_LIMIT = 50000.0
# Logit of a chance of 0.01: objects are rare among 900 queries.
_RARE = -math.log(99)


class LanguageMatch(nn.Module):
    """How well a query matches the whole expression, pooled to one vector. Source: uninext.md, section 9."""

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.dot_product_projection_text = nn.Linear(text_width, width)
        self.log_scale = nn.Parameter(torch.zeros(1))
        self.bias_lang = nn.Parameter(torch.zeros(text_width))
        self.bias0 = nn.Parameter(torch.full((1,), _RARE))

    def forward(self, queries: Tensor, sentence: Tensor) -> Tensor:
        """Return the class logits `(N, Q)` of queries `(N, Q, C)` for sentences `(N, D)`."""
        unit = F.normalize(sentence, dim=-1, eps=1e-12)
        # Half the unit vector, as the released weights expect it; the bias below reads the whole one.
        direction = self.dot_product_projection_text(unit / 2)
        # (N, Q, C) @ (N, C, 1) -> (N, Q): one logit a query, as the expression is pooled to one vector
        match = (queries @ direction[..., None])[..., 0] / self.log_scale.exp()
        result: Tensor = match + (unit @ self.bias_lang + self.bias0)[:, None]
        return result.clamp(-_LIMIT, _LIMIT)


class ProposalScore(nn.Module):
    """How much an encoded pixel looks like an object; it reads no text beyond what fusion put there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Linear(width, 1)
        nn.init.constant_(self.body.bias, _RARE)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the score logits `(N, S)` of tokens `(N, S, C)`."""
        return self.body(tokens)[..., 0]


def build_iou_head(width: int) -> nn.Linear:
    """Return the head that predicts, as a logit, the IoU of a query's box."""
    head = nn.Linear(width, 1)
    nn.init.constant_(head.bias, _RARE)
    return head
