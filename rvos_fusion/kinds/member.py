"""A referring network as a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from runners.base import ModelSettings, Runner
from runners.outside import GROUP
from runners.passes.windows import describe_setting
from runners.registry import RUNNERS, build_runner, check_runner
from rvos.errors import ConfigError, PipelineError
from rvos.masks.mask_sequences import MaskSequence
from rvos.plugins import list_entry_points
from rvos.settings import Form, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain_fields
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.loaded import NETWORK
from rvos_fusion.kinds.outside import is_outside, outside_forms, read_outside, runner_name

# Compiling changes how fast it is.
_WITHOUT_EFFECT = ("compile",)


@dataclass(frozen=True, slots=True)
class MemberNode(Node):
    """A referring network."""

    keyword: ClassVar[str] = "runner"
    kind: ClassVar[str] = "member"
    section: ClassVar[Literal["models", "stages"]] = "models"
    artefact: ClassVar[Artefact] = MASKS

    model: ModelSettings

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """The networks with their options, a program, and whatever else is a user's own."""
        networks = [
            Form(ModelSettings, narrowed={"runner": Literal[name], "options": kind.options})
            for name, kind in RUNNERS.items()
        ]
        return (*networks, *outside_forms())

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry; a runner that is not of this project makes a node of another class."""
        if is_outside(entry):
            return read_outside(entry)
        name = runner_name(entry)
        if name and name not in RUNNERS:
            known = [*RUNNERS, "command", *list_entry_points(GROUP)]
            entry.note(f"runner {show(name)} is unknown; {nearest(name, known)} Your own is named module:function")
            return None
        model = entry.load(ModelSettings)
        if model is None:
            return None
        kind = RUNNERS[model.runner]
        entry.check_part("options", kind.options)
        try:
            kind.check(model)
        except ConfigError as error:
            entry.note(str(error))
            return None
        return cls(entry.name, entry.line, entry.stage, model)

    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()

    def files(self) -> tuple[NodeFile, ...]:
        """Checkpoint and tokeniser."""
        model = self.model
        advice = "no such checkpoint; put it there or correct the path"
        checkpoint = NodeFile(model.checkpoint, "checkpoint", advice, "checkpoint", model.runner)
        if model.tokenizer is None:
            return (checkpoint,)
        advice = "no such tokeniser folder; correct the path"
        words = RUNNERS[model.runner].words
        return (checkpoint, NodeFile(model.tokenizer, "tokeniser", advice, "settings", words))

    def settings(self) -> object:
        """All settings but those that only change how fast it is."""
        # Left out where there are none: results from before there were such views keep their fingerprints.
        without = (*_WITHOUT_EFFECT, "test_time") if self.model.test_time is None else _WITHOUT_EFFECT
        return plain_fields(self.model, without=without)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The sentences and the frames."""
        # Texts alone: the ids are part of every fingerprint already.
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def describe(self) -> str:
        """The network."""
        return f"runs {self.model.runner}"

    def detail(self) -> str:
        """The network."""
        return self.model.runner

    def check_load(self) -> Iterable[str]:
        """Settings, tokeniser and the outline of the checkpoint."""
        try:
            check_runner(self.model)
        except PipelineError as error:
            yield str(error)

    def protocol(self) -> str | None:
        """The windows, and what is averaged."""
        windows = describe_setting(self.model.window, self.model.overlap)
        return windows if self.model.test_time is None else f"{windows}; {self.model.test_time}"

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """The network's own."""
        return f"the scores of {self.model.runner}"

    def lacks_soft(self) -> str | None:
        """Logits, unless they are kept."""
        return None if self.model.keep_soft else "set keep_soft: true on the model"

    def worker_key(self) -> WorkerKey | None:
        """The network; two members never gain from each other."""
        return WorkerKey(f"network {self.name}", repr(self.model), shares=False)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the masks of all expressions."""
        return [self._segment(task) for task in tasks]

    def _segment(self, task: Task) -> list[MaskSequence]:
        key = (self.worker_key(), task.device)
        runner: Runner = NETWORK.get(key, lambda: build_runner(self.model, device=choose_device(task.device)))
        return list(runner.segment(task.video, task.video.expressions))
