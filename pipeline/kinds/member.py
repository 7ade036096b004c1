"""A referring network as a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import yaml

from pipeline.checksums import Checksums
from pipeline.devices import choose_device
from pipeline.kinds.artefacts import MASKS, Artefact
from pipeline.kinds.base import Node, NodeFile, Task, WorkerKey, plain_fields
from pipeline.kinds.loaded import NETWORK
from pipeline.kinds.reading import PRECISIONS, count, natural
from pipeline.recipe.entry import NodeEntry
from runners.base import ModelSettings, Runner
from runners.registry import build_runner
from runners.windows import describe_setting
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

_KEYS = (
    "runner", "checkpoint", "backbone", "tokenizer", "window", "overlap", "precision", "compile", "keep_soft",
    "options",
)  # fmt: skip
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
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.read_keys(_KEYS, needed=("runner", "checkpoint"))
        fields = _read_fields(entry, values)
        if fields.get("runner") is None or fields.get("checkpoint") is None:
            return None
        given = {key: value for key, value in fields.items() if value is not None}
        return cls(entry.name, entry.line, entry.stage, ModelSettings(**given))

    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()

    def files(self) -> tuple[NodeFile, ...]:
        """Checkpoint and tokeniser."""
        model = self.model
        advice = "no such checkpoint; put it there or correct the path"
        checkpoint = NodeFile(model.checkpoint, "checkpoint", advice, "checkpoint")
        if model.tokenizer is None:
            return (checkpoint,)
        advice = "no such tokeniser folder; correct the path"
        return (checkpoint, NodeFile(model.tokenizer, "tokeniser", advice, "settings"))

    def settings(self) -> object:
        """All settings but those that only change how fast it is."""
        return plain_fields(self.model, without=_WITHOUT_EFFECT)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The sentences and the frames."""
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def describe(self) -> str:
        """The network."""
        return f"runs {self.model.runner}"

    def detail(self) -> str:
        """The network."""
        return self.model.runner

    def protocol(self) -> str | None:
        """The windows."""
        return describe_setting(self.model.window, self.model.overlap)

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


def _read_fields(entry: NodeEntry, values: dict[str, yaml.Node]) -> dict[str, Any]:
    """Return the values by field; None where they have problems."""
    text, where = entry.text, entry.where
    fields: dict[str, Any] = {}
    for key, value in values.items():
        what = f"{where}.{key}"
        if key in ("runner", "backbone"):
            fields[key] = text.text(value, what)
        elif key in ("checkpoint", "tokenizer"):
            fields[key] = text.path(value, what)
        elif key in ("window", "overlap"):
            fields[key] = text.convert(value, what, count if key == "window" else natural, "a whole number")
        elif key in ("compile", "keep_soft"):
            fields[key] = text.boolean(value, what)
        elif key == "precision":
            fields[key] = text.choice(value, what, PRECISIONS)
        else:
            options = text.entries(value, what)
            fields[key] = {name: _read_option(entry, option, f"{what}.{name}") for name, option in options.items()}
    return fields


def _read_option(entry: NodeEntry, node: yaml.Node, what: str) -> str | int | float | bool:
    word = entry.text.text(node, what) or ""
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
