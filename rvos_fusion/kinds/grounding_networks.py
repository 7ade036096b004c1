"""Grounding networks as the scorer of a `ground` node: one, or several whose scores are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fusion.tracklet_scores import TrackletScores, average_scores
from runners.grounding.settings import GroundingSettings
from rvos.errors import PipelineError
from rvos.masks.grounding import GroundingModel, Scores
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.tracklets import TrackletSet
from rvos.videos import Video
from rvos_fusion.kinds.base import NodeFile, Task, WorkerKey, plain_fields
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.detections import missing
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.loaded import NETWORK


@dataclass(frozen=True, slots=True)
class NetworkScorer:
    """Tracklets score as trained networks say; the plain mean of several, or a weighted one.

    Args:
        models: at least one.

    Source: tracklets.md, sections 4 and 6.1.
    """

    models: tuple[GroundingSettings, ...]

    def inputs(self) -> tuple[str, ...]:
        """See `TrackletScorer`."""
        return ()

    def files(self) -> tuple[NodeFile, ...]:
        """See `TrackletScorer`."""
        checkpoints = [
            NodeFile(one.checkpoint, "checkpoint", missing("checkpoint"), "checkpoint") for one in self.models
        ]
        folders = [one.tokenizer for one in self.models if one.tokenizer is not None]
        return (
            *checkpoints,
            *(NodeFile(path, "tokeniser", missing("tokeniser folder"), "settings") for path in folders),
        )

    def settings(self) -> object:
        """See `TrackletScorer`."""
        return ["models", [plain_fields(model) for model in self.models]]

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
            try:
                load_grounder(model, device=torch.device("meta"))
            except PipelineError as error:
                yield str(error)

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
