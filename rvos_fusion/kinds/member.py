"""A referring network as a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from runners.base import ModelSettings, OptionValue, Runner
from runners.passes.windows import describe_setting
from runners.registry import RUNNERS, build_runner, check_runner
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import ByName, Flat, OneOf
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device, explain
from rvos_fusion.kinds.networks.operations import Clip, Effort, foresee_runner

_OPTIONS = {name: kind.options for name, kind in RUNNERS.items()}


@dataclass(frozen=True, slots=True)
class NetworkSettings(ModelSettings):
    """One entry of `models:` with a network of this project."""

    runner: Annotated[str, OneOf(tuple(RUNNERS))]
    options: Annotated[Mapping[str, OptionValue], ByName("runner", _OPTIONS)] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Named, as `super()` does not find its class where a dataclass with slots is made anew.
        ModelSettings.__post_init__(self)
        RUNNERS[self.runner].check(self)


@dataclass(frozen=True, slots=True)
class MemberNode(Node):
    """A referring network."""

    keyword: ClassVar[str] = "runner"
    kind: ClassVar[str] = "member"
    section: ClassVar[Literal["models", "stages"]] = "models"

    model: Annotated[NetworkSettings, Flat()]

    def files(self) -> tuple[NodeFile, ...]:
        model = self.model
        advice = "no such checkpoint; put it there or correct the path"
        checkpoint = NodeFile(model.checkpoint, "checkpoint", advice, "checkpoint", model.runner)
        if model.tokenizer is None:
            return (checkpoint,)
        advice = "no such tokeniser folder; correct the path"
        words = RUNNERS[model.runner].words
        return (checkpoint, NodeFile(model.tokenizer, "tokeniser", advice, "settings", words))

    def sources(self, video: Video, checksums: Checksums) -> object:
        # Texts alone: the ids are part of every fingerprint already.
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def describe(self) -> str:
        return f"runs {self.model.runner}"

    def detail(self) -> str:
        return self.model.runner

    def check_load(self) -> Iterable[str]:
        return explain(lambda: check_runner(self.model))

    def protocol(self) -> str:
        windows = describe_setting(self.model.window, self.model.overlap, join=self.model.join)
        return windows if self.model.test_time is None else f"{windows}; {self.model.test_time}"

    def score_scale(self) -> str:
        return f"the scores of {self.model.runner}"

    def soft_maps(self) -> str | None:
        """Logits, unless they are not kept; masks of several objects have none."""
        if self.model.options.get("several") is not None:
            return None
        return "" if self.model.keep_soft else "set keep_soft: true on the model"

    def worker_key(self) -> WorkerKey | None:
        return WorkerKey(f"network {self.name}", repr(self.model), shares=False)

    def foresee(self, clip: Clip) -> Effort | None:
        """See `planning.foresight.Computes`."""
        return foresee_runner(self.model, clip)

    def make(self, task: Task) -> list[MaskSequence]:
        key = (self.worker_key(), task.device)
        runner: Runner = NETWORK.get(key, lambda: build_runner(self.model, device=choose_device(task.device)))
        return list(runner.segment(task.video, task.video.expressions))
