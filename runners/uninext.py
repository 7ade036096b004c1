"""UNINEXT as a member: frames one by one and independently, all expressions of a video on one visual pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from runners.base import ModelSettings, Runner, RunnerKind
from rvos.errors import ConfigError
from rvos.settings import Chance, Range, Size, load

if TYPE_CHECKING:
    import torch

_TOKENS_AT_ONCE = 36_000


@dataclass(frozen=True, slots=True)
class UninextOptions:
    """UNINEXT's own settings in a recipe.

    Args:
        tokens_at_once: of all frames and expressions that pass through the network together, at most; bounds the
            memory. On the CPU never more than 9,000, as more at once is slower there.
        short_side, long_side: of the resized frames, pixels; None: as the network was trained.
        link: follow the object of the best frame by the network's embeddings, instead of taking each frame's best.
        several: take all queries whose score is at least this, so that a sentence may mean several objects or none;
            for networks that were trained so. No soft maps are kept then.

    Raises:
        ConfigError: `link` and `several`.
    """

    tokens_at_once: Annotated[int, Range(least=1)] = _TOKENS_AT_ONCE
    short_side: Size | None = None
    long_side: Size | None = None
    link: bool = False
    several: Chance | None = None

    def __post_init__(self) -> None:
        if self.link and self.several is not None:
            raise ConfigError("link and several: a link follows one object; leave one of them out")


def build(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the runner of a released `.pth` or `.pkl`, or of our own safetensors; see `BuildRunner`."""
    from runners.passes.frame_runner import FrameRunner, load_frame_runner
    from runners.passes.frame_views import FrameViewsRunner

    options = load(UninextOptions, settings.options, where=settings.runner, part="options")
    views = settings.test_time
    if views is not None and (options.link or options.several is not None):
        raise ConfigError(
            "uninext: test_time averages the best mask of every frame; drop test_time, or link and several"
        )
    sides = (options.short_side, options.long_side)
    return load_frame_runner(
        settings,
        device=device,
        tokens_at_once=options.tokens_at_once,
        sides=sides,
        link=options.link,
        several=options.several,
        make=FrameRunner if views is None else partial(FrameViewsRunner, views=views.views()),
    )


RUNNER = RunnerKind("uninext", UninextOptions, build, sees_clips=False, words="bert-base-uncased")
