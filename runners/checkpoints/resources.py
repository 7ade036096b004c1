"""What a runner needs beside its network: tokeniser, arithmetic, advice when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from runners.base import ModelSettings, Precision
from runners.networks.backbones.table import BackboneConfig, find_backbone
from runners.networks.text.tokenizers import RobertaTokens, SmallTokens, Tokens
from rvos.errors import ConfigError
from rvos.videos import Video

_ROBERTA_VOCABULARY = 50265
_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def open_tokens(settings: ModelSettings, *, vocabulary: int, max_tokens: int) -> Tokens:
    """Return the tokeniser that `settings` name, fitted to the network of their checkpoint; see `fit_tokens`."""
    return fit_tokens(settings.tokenizer, vocabulary=vocabulary, max_tokens=max_tokens, where=str(settings.checkpoint))


def fit_tokens(folder: Path | None, *, vocabulary: int, max_tokens: int, where: str) -> Tokens:
    """Return the tokeniser of roberta-base in a folder, or the small one of the demo networks.

    Args:
        vocabulary: rows of the network's word table.
        max_tokens: positions of the network.
        where: what messages call the network.

    Raises:
        ConfigError: the files are missing, or do not fit the network.
    """
    if folder is not None:
        if vocabulary < _ROBERTA_VOCABULARY:
            raise ConfigError(
                f"{where}: reads the small word list ({vocabulary} ids), not roberta-base; drop `tokenizer`"
            )
        return RobertaTokens.from_folder(folder, max_tokens=max_tokens)
    if vocabulary >= _ROBERTA_VOCABULARY:
        raise ConfigError(
            f"{where}: reads roberta-base tokens; give `tokenizer`, a folder with its vocab.json and merges.txt"
        )
    tokens = SmallTokens(max_tokens=max_tokens)
    if tokens.vocabulary_size > vocabulary:
        raise ConfigError(
            f"{where}: knows {vocabulary} word ids, the word list has {tokens.vocabulary_size}; "
            "give a network that knows as many"
        )
    return tokens


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run networks without gradients, in half precision where `precision` says so."""
    with torch.inference_mode(), torch.autocast(device.type, _HALF.get(precision), enabled=precision in _HALF):
        yield


def check_backbone(settings: ModelSettings, found: BackboneConfig) -> None:
    """Refuse a name of a backbone that is unknown, or that is not the one in the checkpoint.

    Raises:
        ConfigError: the recipe names another backbone.
    """
    if settings.backbone is None:
        return
    wanted = find_backbone(settings.backbone)
    if (wanted.kind, wanted.width, wanted.depths) != (found.kind, found.width, found.depths):
        raise ConfigError(
            f"{settings.checkpoint}: its backbone is {found.kind} of width {found.width} and depths {found.depths}, "
            f"not {settings.backbone}; correct `backbone` or leave it out"
        )


@contextmanager
def memory_advice(
    video: Video, *, at_once: str = "", advice: str = "set `window` to fewer frames, lower `short_side`"
) -> Iterator[None]:
    """Turn the device's lack of memory into a message that says what to change.

    Args:
        at_once: what the device holds at the same time; empty: all frames of the video.
        advice: which options need less.

    Raises:
        ConfigError: the device has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{video.id}: the device has not enough memory for {at_once or f'{video.n_frames} frames at once'}; "
            f"{advice}, or use precision bfloat16"
        ) from None
