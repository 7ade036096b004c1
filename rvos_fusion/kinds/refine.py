"""Refinement as a node: coarse masks replaced by the masklets that they cover most steadily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from propagate.masklets import list_distinct
from propagate.refinement import Evidence, RefinementSettings, refine
from rvos.errors import InputError
from rvos.language.nouns import NounFinder, NounSettings
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.masks.tracklets import Instances, Tracklet
from rvos.settings import Flat, Given, Key, count
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import HARD_MASKS, INSTANCES, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import InstancesOf, MasksOf
from rvos_fusion.kinds.networks.named import noun_files
from rvos_fusion.kinds.offers import Offer
from rvos_fusion.kinds.refinement_report import RefinedExpression, build_report
from rvos_fusion.kinds.side_reports import write_report
from rvos_fusion.kinds.trials import CheapRules, Values


@dataclass(frozen=True, slots=True)
class RefineNode(CheapRules, Node):
    """Masks of every sentence, refined by the masklets of its noun.

    Args:
        source: node with the coarse masks.
        masklets: node with the masklets.
        nouns: how the nouns are found; of the whole recipe, as for the masklets.
        rules: how masklets are selected.
    """

    keyword: ClassVar[str] = "refine"
    kind: ClassVar[str] = "refine"
    values: ClassVar[Values] = {
        "window": ("5", "10", "15", "20"),
        "tau": ("0.6", "0.7", "0.8", "0.9"),
    }

    source: Annotated[MasksOf, Key("refine")]
    masklets: InstancesOf
    nouns: Annotated[NounSettings, Given("nouns")]
    rules: Annotated[RefinementSettings, Flat()]

    def files(self) -> tuple[NodeFile, ...]:
        return noun_files(self.nouns)

    def sources(self, video: Video, checksums: Checksums) -> object:
        finder = NounFinder(self.nouns)
        nouns = (finder.find(video, expression) for expression in video.expressions)
        return [[noun.text, noun.phrase, noun.source] for noun in nouns]

    def describe(self) -> str:
        return f"refines {self.source} by {self.masklets}"

    def detail(self) -> str:
        return f"window {self.rules.window}, tau {self.rules.tau:g}"

    def passes_scores_of(self) -> str:
        return self.source

    def chooses_from(self) -> tuple[str, ...]:
        return self.inputs()

    def offers(self, video: Video, read: ReadArtefact) -> Iterator[Offer]:
        """Yield, for every sentence, its coarse masks as they are or any masklets of its noun for the whole video."""
        given = list(self.gather(video, read))
        coarse = {own.expression.id: [own.evidence.coarse] for own in given}
        yield Offer("best masklets", coarse, {own.expression.id: own.evidence.masklets for own in given})

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the refined masks; what was selected is written beside the result."""
        return self.compute([task])[0]

    def compute(self, tasks: Sequence[Task]) -> list[list[MaskSequence]]:
        """Return the refined masks of a video by nodes that differ in their rules: masklets are compared once."""
        rules = [task.node.rules for task in tasks if isinstance(task.node, RefineNode)]
        refined: list[list[MaskSequence]] = [[] for _ in tasks]
        rows: list[list[object]] = [[] for _ in tasks]
        for own in self.gather(tasks[0].video, tasks[0].read_artefact):
            presence = own.coarse.presence if own.presence is None else own.presence
            for place, one in enumerate(rules):
                found = refine(own.evidence, one)
                counts = own.evidence.pick(own.coarse.runs, found.frames)
                refined[place].append(replace(own.coarse, runs=counts, soft=None, propagation=None, presence=presence))
                if tasks[place].is_stored:
                    rows[place].append(build_report(own, found))
        for task, selected in zip(tasks, rows, strict=True):
            write_report(task, {"coarse": self.source, "masklets": self.masklets, "expressions": selected})
        return refined

    def gather(self, video: Video, read: ReadArtefact) -> Iterator[RefinedExpression]:
        """Yield the coarse masks of every expression and what they have in common with the masklets of its noun.

        Raises:
            InputError: masklets of other frames or of another size.
        """
        finder = NounFinder(self.nouns)
        coarse = by_expression(read(self.source, HARD_MASKS))
        by_noun: dict[str, list[tuple[Tracklet, Runs]]] = {}
        instances: Instances = read(self.masklets, INSTANCES)
        for tracklet in instances.tracklets:
            by_noun.setdefault(tracklet.label, []).append((tracklet, tracklet.as_runs()))
        distinct = {
            label: [own[place] for place in list_distinct([runs for _, runs in own], dedup_iou=self.rules.dedup_iou)]
            for label, own in by_noun.items()
        }
        for expression in video.expressions:
            sequence, noun = coarse[expression.id], finder.find(video, expression)
            masklets = distinct.get(noun.text, [])
            for tracklet, _ in masklets:
                _check_fits(sequence, tracklet)
            evidence = Evidence(sequence.as_runs(), [runs for _, runs in masklets])
            names = tuple(tracklet.id for tracklet, _ in masklets)
            presence = instances.presence.get(noun.text)
            if presence is not None and len(presence) != sequence.n_frames:
                raise InputError(f"{video.id}: {self.masklets} has a presence of other frames; run it again")
            yield RefinedExpression(expression, noun, sequence, evidence, names, presence)


def _check_fits(coarse: MaskSequence, masklet: Tracklet) -> None:
    where = f"{coarse.video}/{coarse.expression}"
    if masklet.size != coarse.size:
        raise InputError(
            f"{where}: masks of {coarse.size[0]} x {coarse.size[1]} pixels (H x W), masklets of "
            f"{masklet.size[0]} x {masklet.size[1]}; make both at the frame size"
        )
    if masklet.frames != coarse.frames:
        raise InputError(
            f"{where}: masks of {count(coarse.n_frames, 'frame')}, masklets of "
            f"{len(masklet.frames)}, or other names; make both "
            "of this data set"
        )
