"""What a runner needs beside its network: tokeniser, arithmetic, advice when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runners.base import ModelSettings, Precision
from runners.networks.tokenizers import RobertaTokens, SmallTokens, Tokens
from rvos.errors import ConfigError
from rvos.videos import Video

_ROBERTA_VOCABULARY = 50265
_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def open_tokens(settings: ModelSettings, *, vocabulary: int, max_tokens: int) -> Tokens:
    """Return the tokeniser that `settings` name, or the small one of the demo networks.

    Args:
        vocabulary: rows of the network's word table.
        max_tokens: positions of the network.

    Raises:
        ConfigError: the files are missing, or do not fit the network.
    """
    if settings.tokenizer is not None:
        if vocabulary < _ROBERTA_VOCABULARY:
            raise ConfigError(
                f"{settings.checkpoint}: reads the small word list ({vocabulary} ids), not roberta-base; "
                "drop `tokenizer` from the model"
            )
        return RobertaTokens.from_folder(settings.tokenizer, max_tokens=max_tokens)
    if vocabulary >= _ROBERTA_VOCABULARY:
        raise ConfigError(
            f"{settings.checkpoint}: reads roberta-base tokens; "
            "give `tokenizer`, a folder with its vocab.json and merges.txt"
        )
    tokens = SmallTokens(max_tokens=max_tokens)
    if tokens.vocabulary_size > vocabulary:
        raise ConfigError(
            f"{settings.checkpoint}: knows {vocabulary} word ids, the word list has {tokens.vocabulary_size}; "
            "use the checkpoint that belongs to this version"
        )
    return tokens


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run networks without gradients, in half precision where `precision` says so."""
    with torch.inference_mode(), torch.autocast(device.type, _HALF.get(precision), enabled=precision in _HALF):
        yield


@contextmanager
def memory_advice(video: Video) -> Iterator[None]:
    """Turn the device's lack of memory into a message that says what to change.

    Raises:
        ConfigError: the device has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{video.id}: the device has not enough memory for {video.n_frames} frames at once; "
            "set `window` to fewer frames, lower `short_side`, or use precision bfloat16"
        ) from None
