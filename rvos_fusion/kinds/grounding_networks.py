"""Grounding networks as the scorer of a `ground` node: one, or several whose scores are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fusion.tracklet_scores import TrackletScores, average_scores
from runners.grounding.settings import GroundingSettings
from rvos.masks.grounding import GroundingModel, Scores
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.tracklets import TrackletSet
from rvos.videos import Video
from rvos_fusion.kinds.base import NodeFile, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.loaded import NETWORK, explain


@dataclass(frozen=True, slots=True)
class NetworkScorer:
    """Tracklets score as trained networks say; the plain mean of several, or a weighted one.

    Args:
        models: at least one.

    Source: tracklets.md, sections 4 and 6.1.
    """

    models: tuple[GroundingSettings, ...]

    def files(self) -> tuple[NodeFile, ...]:
        """See `TrackletScorer`."""
        advice = "no such {}; put it there or correct the path"
        words = advice.format("tokeniser folder")
        return (
            *(NodeFile(one.checkpoint, "checkpoint", advice.format("checkpoint"), "checkpoint") for one in self.models),
            *(NodeFile(one.tokenizer, "tokeniser", words, "settings") for one in self.models if one.tokenizer),
        )

    def sources(self, video: Video, checksums: Checksums) -> object:
        """See `TrackletScorer`; the sentences and the frames."""
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def describe(self) -> str:
        """See `TrackletScorer`."""
        names = ", ".join(model.checkpoint.stem for model in self.models)
        return f"the grounding network {names}" if len(self.models) == 1 else f"the mean of {names}"

    def worker_key(self) -> WorkerKey | None:
        """See `TrackletScorer`."""
        return WorkerKey(f"grounding by {len(self.models)} networks", repr(self.models), shares=False)

    def check_load(self) -> Iterable[str]:
        """See `TrackletScorer`; the outlines of the checkpoints, and the tokenisers."""
        import torch

        from runners.grounding.scorer import load_grounder

        for model in self.models:
            yield from explain(partial(load_grounder, model, device=torch.device("meta")))

    def scores(self, task: Task, tracklets: TrackletSet) -> Scores:
        """See `TrackletScorer`."""
        return self.score_video(task, task.video, tracklets)

    def score_video(self, task: Task, video: Video, tracklets: TrackletSet) -> Scores:
        """Return the scores `(E, P)` of a video that may be a part of the task's own."""
        networks: Sequence[GroundingModel] = NETWORK.get(
            (self.worker_key(), task.device), lambda: self._load(task.device)
        )
        name = tracklets.content_hash()
        scored = [
            TrackletScores(model.checkpoint.stem, name, network.scores(video, tracklets, video.expressions))
            for model, network in zip(self.models, networks, strict=True)
        ]
        return average_scores(scored, [model.weight for model in self.models])

    def _load(self, device: str) -> list[GroundingModel]:
        # Torch is imported where a network runs: plans and tables read the recipe without it.
        from runners.grounding.scorer import load_grounder

        return [load_grounder(model, device=choose_device(device)) for model in self.models]

    def fall_back(self, task: Task) -> Mapping[str, MaskSequence]:
        """See `TrackletScorer`; empty masks, as there is nobody to ask."""
        return {}
