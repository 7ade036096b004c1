"""Grounding networks: how well tracklets fit sentences by one of them, or by the mean of several.

Source: tracklets.md, sections 4 and 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from fusion.tracklet_scores import TrackletScores, average_scores
from runners.grounding.settings import GroundingSettings
from rvos.masks.grounding import GroundingModel, Scores
from rvos.masks.tracklets import TrackletSet
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device, explain

Models = Sequence[GroundingSettings]


def describe_models(models: Models) -> str:
    """Return the networks in a few words."""
    names = ", ".join(model.checkpoint.stem for model in models)
    return f"the grounding network {names}" if len(models) == 1 else f"the mean of {names}"


def model_key(models: Models) -> WorkerKey:
    """Return what must be loaded."""
    return WorkerKey(f"grounding by {count(len(models), 'network')}", repr(models), shares=False)


class GroundingNode(Node):
    """A node with grounding networks: their files, and what is loaded."""

    __slots__ = ()
    models: tuple[GroundingSettings, ...]

    def files(self) -> tuple[NodeFile, ...]:
        advice = "no such {}; put it there or correct the path"
        words = advice.format("tokeniser folder")
        return (
            *(NodeFile(one.checkpoint, "checkpoint", advice.format("checkpoint"), "checkpoint") for one in self.models),
            *(NodeFile(one.tokenizer, "tokeniser", words, "settings") for one in self.models if one.tokenizer),
        )

    def worker_key(self) -> WorkerKey | None:
        return model_key(self.models) if self.models else None

    def check_load(self) -> Iterator[str]:
        """Yield what would keep them from being loaded: the outlines of the checkpoints, and the tokenisers."""
        import torch

        from runners.grounding.scorer import load_grounder

        for model in self.models:
            yield from explain(partial(load_grounder, model, device=torch.device("meta")))


def score_by_networks(models: Models, task: Task, video: Video, tracklets: TrackletSet) -> Scores:
    """Return the scores `(E, P)` of tracklets for the sentences of a video, which may be a part of the task's own."""

    def load() -> list[GroundingModel]:
        # Torch is imported where a network runs: plans and tables read the recipe without it.
        from runners.grounding.scorer import load_grounder

        return [load_grounder(model, device=choose_device(task.device)) for model in models]

    networks: list[GroundingModel] = NETWORK.get((model_key(models), task.device), load)
    name = tracklets.content_hash()
    scored = [
        TrackletScores(model.checkpoint.stem, name, network.scores(video, tracklets, video.expressions))
        for model, network in zip(models, networks, strict=True)
    ]
    return average_scores(scored, [model.weight for model in models])
