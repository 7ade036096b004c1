"""Tracklets as a node: every proposal carried through its video, and of those that show the same object the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from propagate.engines.settings import EngineSettings
from propagate.tracklets import TrackletSettings, choose_candidates, to_tracklet
from rvos.masks.detections import VideoProposals
from rvos.masks.runs import unite
from rvos.masks.tracklets import TrackletSet
from rvos.settings import Flat, Key, Named
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCE_PROPOSALS, Artefact, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import MasksOf, ProposalsOf
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device
from rvos_fusion.kinds.networks.named import engine_files, engine_key, explain_engine
from rvos_fusion.kinds.offers import Offer, offer_tracklets
from rvos_fusion.kinds.side_reports import write_report
from rvos_fusion.kinds.trials import CheapRules, Values

if TYPE_CHECKING:
    from propagate.tracklet_tracking import Tracked, TrackletTracker


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackNode(CheapRules, Node):
    """The candidates of a video, whatever its sentences say.

    Args:
        proposals: node with the masks that are carried.
        engine: what carries them.
        members: nodes whose whole sequences are candidates too.
        rules: how tracklets are made and which of them stay.
    """

    keyword: ClassVar[str] = "track"
    kind: ClassVar[str] = "track"
    values: ClassVar[Values] = {
        "nms_iou": ("0.3", "0.5", "0.7", "0.9", "1"),
        "keep": ("5", "10", "20"),
    }
    artefact: ClassVar[Artefact] = CANDIDATES

    proposals: Annotated[ProposalsOf, Key("track")]
    engine: Annotated[EngineSettings, Named("engine")]
    members: Annotated[tuple[MasksOf, ...], Key("add_members")] = ()
    rules: Annotated[TrackletSettings, Flat()]

    def files(self) -> tuple[NodeFile, ...]:
        return tuple(engine_files(self.engine))

    def sources(self, video: Video, checksums: Checksums) -> object:
        return checksums.frames(video)

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        if self.rules.joint and not self.engine.lets_compete:
            yield f"joint: objects of engine {self.engine.name} never meet; leave it out, or take AOT or DeAOT"

    def describe(self) -> str:
        return f"tracks {self.proposals} by engine {self.engine.name}"

    def detail(self) -> str:
        return f"{self.engine.network}, NMS {self.rules.nms_iou:g}, {self.rules.keep} kept"

    def worker_key(self) -> WorkerKey | None:
        return WorkerKey(f"engine {self.engine.name}", f"{engine_key(self.engine)} {self.rules}", shares=False)

    def check_load(self) -> Iterable[str]:
        return explain_engine(self.engine)

    def chooses_from(self) -> tuple[str, ...]:
        """Its own tracklets: sentences choose among them later."""
        return (self.name,)

    def offers(self, video: Video, read: ReadArtefact) -> Iterable[Offer]:
        found: TrackletSet = read(self.name, CANDIDATES)
        return [offer_tracklets(video, found.tracklets)]

    def make(self, task: Task) -> TrackletSet:
        """Return the tracklets; what became of each is written beside the result."""
        return self.compute([task])[0]

    def compute(self, tasks: Sequence[Task]) -> list[TrackletSet]:
        """Return the tracklets of a video by nodes that differ in what is suppressed: proposals are carried once."""
        task, rules = tasks[0], [task.node.rules for task in tasks if isinstance(task.node, TrackNode)]
        tracker: TrackletTracker = NETWORK.get((self.worker_key(), task.device), lambda: self._load(task))
        proposals: VideoProposals = task.read_artefact(self.proposals, INSTANCE_PROPOSALS)
        tracked = tracker.track(task.video, proposals)
        members = []
        for name in self.members:
            for sequence in task.read(name):
                sequence.check_fits(task.video, proposals.size, advice=f"make the masks of {name} again")
                if (tracklet := to_tracklet(sequence, member=name)) is not None:
                    members.append(tracklet)
        tracklets = [*tracked.tracklets, *members]
        made = []
        for own, settings in zip(tasks, rules, strict=True):
            found = choose_candidates(tracklets, video=task.video, size=proposals.size, settings=settings)
            if own.is_stored:
                write_report(own, build_report(proposals, tracked, found, n_members=len(members)))
            made.append(found)
        return made

    def _load(self, task: Task) -> TrackletTracker:
        from propagate.engines.table import build_engine
        from propagate.tracklet_tracking import TrackletTracker

        return TrackletTracker(
            build_engine(self.engine, device=choose_device(task.device), place=task.place), self.rules
        )


def build_report(
    proposals: VideoProposals, tracked: Tracked, found: TrackletSet, *, n_members: int
) -> dict[str, object]:
    """Return what became of a video's proposals, as plain values for JSON."""
    frames = {found.frames[frame]: len(proposals.of_frame(frame)) for frame in proposals.key_frames}
    masks = [tracklet.as_runs() for tracklet in found.tracklets]
    # The share of the video's pixels that lie in any of the tracklets.
    coverage = unite(masks).area() / (len(found.frames) * found.size[0] * found.size[1]) if masks else 0.0
    kept = [
        {
            "id": tracklet.id,
            "score": round(float(score), 4),
            "confidence": round(tracklet.confidence, 4),
            "key_frame": found.frames[tracklet.key_frame],
            "detector": tracklet.detector,
            "label": tracklet.label,
        }
        for tracklet, score in zip(found.tracklets, found.scores, strict=True)
    ]
    return {
        "no_candidate": not found.tracklets,
        "proposals": frames,
        "explained": list(tracked.explained),
        "tracklets_before_nms": len(tracked.tracklets) + n_members,
        "tracklets": kept,
        "coverage": round(coverage, 4),
        "dropped": [asdict(one) for one in found.dropped],
        "content_hash": found.content_hash(),
    }
