"""Refinement as a node: coarse masks replaced by the masklets that they cover most steadily."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

from propagate.masklets import list_distinct
from propagate.refinement import Evidence, RefinementSettings, refine
from rvos.errors import InputError
from rvos.language.nouns import NounFinder, NounSettings
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.masks.tracklets import Tracklet
from rvos.settings import Form
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import HARD_MASKS, INSTANCES, MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from rvos_fusion.kinds.capabilities import Chooser, ReadArtefact, Refiner
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.masklets import noun_files, write_report
from rvos_fusion.kinds.offers import Offer
from rvos_fusion.kinds.refinement_report import RefinedExpression, build_report


@dataclass(frozen=True, slots=True, kw_only=True)
class _RefineEntry(RefinementSettings):
    """The keys of a refinement: its inputs beside the settings."""

    refine: str
    masklets: str


@dataclass(frozen=True, slots=True)
class RefineNode(Node):
    """Masks of every sentence, refined by the masklets of its noun.

    Args:
        source: node with the coarse masks.
        masklets: node with the masklets.
        nouns: how the nouns are found; of the whole recipe, as for the masklets.
        rules: how masklets are selected.
    """

    keyword: ClassVar[str] = "refine"
    kind: ClassVar[str] = "refine"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    source: str
    masklets: str
    nouns: NounSettings
    rules: RefinementSettings

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_RefineEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_RefineEntry)
        if values is None:
            return None
        rules = RefinementSettings(**{one.name: getattr(values, one.name) for one in fields(RefinementSettings)})
        return cls(entry.name, entry.line, entry.stage, values.refine, values.masklets, entry.nouns, rules)

    def inputs(self) -> tuple[str, ...]:
        """The coarse masks and the masklets."""
        return tuple(dict.fromkeys((self.source, self.masklets)))

    def files(self) -> tuple[NodeFile, ...]:
        """The user's nouns."""
        return noun_files(self.nouns)

    def settings(self) -> object:
        """Inputs and rules."""
        return [self.source, self.masklets, plain(self.rules)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The nouns of the sentences."""
        finder = NounFinder(self.nouns)
        nouns = (finder.find(video, expression) for expression in video.expressions)
        return [[noun.text, noun.phrase, noun.source] for noun in nouns]

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """The inputs must store what is needed of them."""
        for name, artefact, what in ((self.source, MASKS, "refine"), (self.masklets, INSTANCES, "masklets")):
            if nodes[name].artefact is not artefact:
                stored = nodes[name].artefact.codec.name
                yield f"{what}: {name} stores {stored}, expected {artefact.codec.name}; name another node"

    def describe(self) -> str:
        """Source and masklets."""
        return f"refines {self.source} by {self.masklets}"

    def detail(self) -> str:
        """Window and threshold."""
        return f"window {self.rules.window}, tau {self.rules.tau:g}"

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """The source's: scores are passed on."""
        return nodes[self.source].score_scale(nodes)

    def worker_key(self) -> WorkerKey | None:
        """Nothing."""
        return None

    def refiner(self) -> Refiner | None:
        """This node."""
        return self

    def chooser(self) -> Chooser | None:
        """This node."""
        return self

    def chooses_from(self) -> tuple[str, ...]:
        """The coarse masks and the masklets."""
        return self.inputs()

    def offers(self, video: Video, read: ReadArtefact) -> Iterator[Offer]:
        """Yield, for every sentence, its coarse masks as they are or any masklets of its noun for the whole video."""
        given = list(self.gather(video, read))
        coarse = {own.expression.id: [own.evidence.coarse] for own in given}
        yield Offer("best masklets", coarse, {own.expression.id: own.evidence.masklets for own in given})

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the refined masks; what was selected is written to `refine/NODE/VIDEO.json` of the workspace."""
        return [self._refine(task) for task in tasks]

    def _refine(self, task: Task) -> list[MaskSequence]:
        refined, rows = [], []
        for own in self.gather(task.video, task.read_artefact):
            found = refine(own.evidence, self.rules)
            counts = own.evidence.pick(own.coarse.runs, found.frames)
            refined.append(replace(own.coarse, runs=counts, soft=None, propagation=None))
            rows.append(build_report(own, found))
        write_report(task, {"coarse": self.source, "masklets": self.masklets, "expressions": rows})
        return refined

    def gather(self, video: Video, read: ReadArtefact) -> Iterator[RefinedExpression]:
        """See `Refiner`."""
        finder = NounFinder(self.nouns)
        coarse = by_expression(read(self.source, HARD_MASKS))
        by_noun: dict[str, list[tuple[Tracklet, Runs]]] = {}
        for tracklet in read(self.masklets, INSTANCES):
            by_noun.setdefault(tracklet.label, []).append((tracklet, tracklet.as_runs()))
        distinct = {label: self._drop_copies(own) for label, own in by_noun.items()}
        for expression in video.expressions:
            sequence, noun = coarse[expression.id], finder.find(video, expression)
            masklets = distinct.get(noun.text, [])
            for tracklet, _ in masklets:
                _check_fits(sequence, tracklet)
            evidence = Evidence(sequence.as_runs(), [runs for _, runs in masklets])
            names = tuple(tracklet.id for tracklet, _ in masklets)
            yield RefinedExpression(expression, noun, sequence, evidence, names)

    def _drop_copies(self, masklets: Sequence[tuple[Tracklet, Runs]]) -> list[tuple[Tracklet, Runs]]:
        kept = list_distinct([runs for _, runs in masklets], dedup_iou=self.rules.dedup_iou)
        return [masklets[place] for place in kept]


def _check_fits(coarse: MaskSequence, masklet: Tracklet) -> None:
    where = f"{coarse.video}/{coarse.expression}"
    if masklet.size != coarse.size:
        raise InputError(
            f"{where}: masks of {coarse.size[0]} x {coarse.size[1]} pixels (H x W), masklets of "
            f"{masklet.size[0]} x {masklet.size[1]}; make both at the frame size"
        )
    if masklet.frames != coarse.frames:
        raise InputError(
            f"{where}: masks of {coarse.n_frames} frames, masklets of {len(masklet.frames)}, or other names; make both "
            "of this data set"
        )
