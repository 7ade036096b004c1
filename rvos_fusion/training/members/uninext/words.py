"""What every pixel should be called: teaches a small UNINEXT's early fusion which words an object answers to.

Released networks learn words from millions of captions. Here each pixel of an object is told all words of the
object's expressions, and the fusion's scores between pixels and single words are trained on that directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from runners.networks.text.tokenizers import BOS, EOS, SmallTokens
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.texts import FIRST_WORD, mark_words

_OFFSET = -3.0
_BACKGROUND_STEP = 7
_LEVELS = 3
_STRIDE = 8


@dataclass(frozen=True, slots=True, eq=False)
class WordTargets(Batch):
    """Words of objects: `(F, H, W)` int64 rows of `words` (0 = background), `(1 + objects, V)` float32, 1 = has it."""

    objects: Tensor
    words: Tensor


def single_words(tokens: SmallTokens) -> Tensor:
    """Return all words of the tokeniser one by one, between special tokens: ids `(V, 3)`."""
    ids = torch.arange(FIRST_WORD, tokens.vocabulary_size)
    return torch.stack([torch.full_like(ids, BOS), ids, torch.full_like(ids, EOS)], dim=1)


def words_of(texts: Sequence[str], tokens: SmallTokens, *, mirrored: bool) -> Tensor:
    """Return `(V,)` float32, 1 for each word of what is said of an object."""
    return mark_words(texts, tokens, tokens.vocabulary_size, mirrored=mirrored)[FIRST_WORD:]


def gather(labels: Sequence[NDArray[np.uint8]], rows: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> WordTargets:
    """Return the targets of frames with label maps `(h, w)` and the words of objects 1, 2, ...; padded to `size`."""
    n_words = next(len(row) for frame in rows for row in frame)
    objects = torch.zeros((len(labels), *size), dtype=torch.int64)
    words = [torch.zeros(n_words)]
    for index, (label, frame) in enumerate(zip(labels, rows, strict=True)):
        numbers = torch.from_numpy(label.astype(np.int64))
        numbers[numbers > len(frame)] = 0
        shifted = torch.where(numbers > 0, numbers + len(words) - 1, 0)
        objects[index, : label.shape[0], : label.shape[1]] = shifted
        words += frame
    return WordTargets(objects, torch.stack(words))


def word_loss(scores: Tensor, shapes: tuple[tuple[int, int], ...], targets: WordTargets) -> Tensor:
    """Return the cross-entropy of scores `(F, S, V)`, summed over words: mean over objects and over background."""
    areas = [height * width for height, width in shapes]
    parts = scores.float().split_with_sizes(areas, dim=1)
    owners = []
    for level, (height, width) in enumerate(shapes[:_LEVELS]):
        stride = _STRIDE * 2**level
        cells = targets.objects[:, stride // 2 :: stride, stride // 2 :: stride]
        cells = F.pad(cells, (0, width - cells.shape[2], 0, height - cells.shape[1]))
        owners.append(cells.flatten(1))
    owner = torch.cat(owners, dim=1).flatten()
    logits = torch.cat(parts[:_LEVELS], dim=1).flatten(0, 1) + _OFFSET
    chosen = owner > 0
    chosen[::_BACKGROUND_STEP] = True
    owner = owner[chosen]
    each = F.binary_cross_entropy_with_logits(logits[chosen], targets.words[owner], reduction="none").sum(1)
    inside = owner > 0
    outside = ~inside
    return each[inside].sum() / inside.sum().clamp(min=1) + each[outside].sum() / outside.sum().clamp(min=1)
