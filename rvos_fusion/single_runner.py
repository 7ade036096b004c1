"""One network on frames, without a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runners.base import ModelSettings, OptionValue, Runner
from runners.registry import build_runner
from rvos_fusion.kinds.networks.loaded import choose_device


def open_runner(
    runner: str,
    checkpoint: str | Path,
    *,
    options: Mapping[str, OptionValue] | None = None,
    tokenizer: str | Path | None = None,
    device: str = "auto",
) -> Runner:
    """Return a loaded referring network; its `segment(video, expressions)` yields a mask sequence for each.

    Args:
        runner: `soc`, `mutr`, `referformer` or `uninext`.
        checkpoint: official file or our own safetensors.
        options: the runner's own settings, as under `options:` of a recipe; default: its own.
        tokenizer: folder with the tokeniser's files; default: the project's small demo tokeniser.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: no runner of that name, or settings or a device that it cannot have.
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
    """
    words = None if tokenizer is None else Path(tokenizer)
    settings = ModelSettings(runner, Path(checkpoint), tokenizer=words, options=options or {})
    return build_runner(settings, device=choose_device(device))
