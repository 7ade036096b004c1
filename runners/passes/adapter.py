"""What every runner does around its network: checks, advice when memory runs out, one sequence an expression."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from runners.networks.text.tokenizers import Tokens
from runners.passes.devices import memory_advice
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

Found = TypeVar("Found")
Features = TypeVar("Features")
_CACHED_TEXTS = 2048


class Adapter(ABC, Generic[Found]):
    """A loaded network: it gives two hooks, what it finds for all expressions, and how that becomes masks.

    Attributes:
        at_once: what the device holds at the same time, for advice; empty: all frames of the video.
        advice: which options need less.
    """

    at_once = ""
    advice = "set `window` to fewer frames, lower `short_side`"

    @abstractmethod
    def find(self, video: Video, expressions: Sequence[Expression]) -> Sequence[Found]:
        """Return what the network finds for each expression."""

    @abstractmethod
    def to_sequence(self, video: Video, expression: Expression, found: Found, *, size: tuple[int, int]) -> MaskSequence:
        """Return the masks of one expression at the frames' `size` (H, W)."""

    def look(self, video: Video, expressions: Sequence[Expression]) -> Sequence[Found]:
        """Return what `find` does.

        Raises:
            ConfigError: the device has not enough memory.
        """
        with memory_advice(video, at_once=self.at_once, advice=self.advice):
            return self.find(video, expressions)

    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression, in their order; the video is looked at once.

        Raises:
            InputError: an unreadable frame, frames of several sizes, or an expression without a word.
            ConfigError: the device has not enough memory.
        """
        if not expressions:
            return
        if not video.frames:
            raise InputError(f"{video.id}: no frames; drop the video or restore its frame list")
        size, found = video.read_size(), self.look(video, expressions)
        for expression, own in zip(expressions, found, strict=True):
            yield self.to_sequence(video, expression, own, size=size)


class TextReader(Generic[Features]):
    """Features of expressions; those of texts seen before come from a cache.

    Args:
        tokens: that the network was trained with.
        encode: token ids and mask `(1, L)` -> features.
    """

    def __init__(self, tokens: Tokens, encode: Callable[[Tensor, Tensor], Features], device: torch.device) -> None:
        self._tokens, self._encode, self._device = tokens, encode, device
        self._kept: OrderedDict[str, Features] = OrderedDict()

    def read(
        self, video: Video, expressions: Sequence[Expression], clean: Callable[[str], str] = str
    ) -> list[Features]:
        """Return the features of each expression, whose text is passed through `clean` first.

        Raises:
            InputError: an empty expression.
        """
        texts = [clean(one.text) for one in expressions]
        for expression, text in zip(expressions, texts, strict=True):
            if not text.strip():
                raise InputError(f"{video.id}/{expression.id}: the expression is empty; mend or drop it")
        features = {text: self._kept[text] for text in texts if text in self._kept}
        for text in dict.fromkeys(texts):
            if text not in features:
                # One at a time: padding to the longest would change the rounding of the others.
                ids, mask = self._tokens.encode([text])
                features[text] = self._encode(ids.to(self._device), mask.to(self._device))
        self._kept.update(features)
        while len(self._kept) > _CACHED_TEXTS:
            self._kept.popitem(last=False)
        return [features[text] for text in texts]
