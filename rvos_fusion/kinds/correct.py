"""Corrections by hand as a node: the answers of another node, with what a file of corrections says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import numpy as np

from propagate.engines.settings import EngineSettings
from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.masks.corrections import Correction, find_misfits, read_corrections
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import Given, Key, count, nearest
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import Input, MasksOf
from rvos_fusion.kinds.networks.carriers import explain_carrier, load_carrier
from rvos_fusion.kinds.networks.named import engine_files, engine_key, explain_engine
from rvos_fusion.kinds.plain import plain

if TYPE_CHECKING:
    from propagate.corrections import GivenMask


class Split(Protocol):
    """What a recipe says of its data set."""

    def open(self) -> Dataset:
        """Return it; InputError where it cannot be read."""


@dataclass(frozen=True, slots=True)
class CorrectNode(Node):
    """Answers of a node, some of them corrected by hand; the node itself stays as it is.

    Args:
        source: node whose answers are corrected.
        file: of corrections, those of other nodes among them; None: nothing is corrected.
        engines: of the recipe, by name.
        dataset: of the recipe.

    Attributes:
        all_corrections: what the file holds.
        corrections: those of the source; of one video after `of_video`.
        used: the engines that these name.

    Raises:
        InputError, ConfigError: a file that cannot be used.
    """

    keyword: ClassVar[str] = "correct"
    kind: ClassVar[str] = "correction"

    source: Annotated[MasksOf, Key("correct")]
    file: Annotated[Path | None, Key("corrections")] = None
    engines: Annotated[Mapping[str, Any], Given("engines")] = field(default_factory=dict)
    dataset: Annotated[Split | None, Given("dataset")] = None
    all_corrections: tuple[Correction, ...] = field(default=(), init=False)
    corrections: tuple[Correction, ...] = field(default=(), init=False)
    used: tuple[EngineSettings, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        # A file that is not there yet is missed before a run, as those of other nodes are.
        found = read_corrections(self.file) if self.file is not None and self.file.exists() else ()
        object.__setattr__(self, "all_corrections", found)
        self._keep(one for one in found if one.node == self.source)

    def _keep(self, corrections: Iterable[Correction]) -> None:
        object.__setattr__(self, "corrections", tuple(corrections))
        names = sorted({one.engine for one in self.corrections if one.engine is not None})
        known = (self.engines.get(name) for name in names)
        object.__setattr__(self, "used", tuple(one for one in known if isinstance(one, EngineSettings)))

    def of_video(self, video: Video) -> Node:
        own = copy(self)
        own._keep(one for one in self.corrections if one.video == video.id)
        return own

    def reads(self) -> tuple[Input, ...]:
        others = sorted({one.same_as.node for one in self.corrections if one.same_as and one.same_as.node})
        return Input(self.source, self.keyword, MASKS), *(Input(name, f"{self.file}", MASKS) for name in others)

    def files(self) -> tuple[NodeFile, ...]:
        advice = "no such file; write it with rvos correct, or leave 'corrections' out"
        own = () if self.file is None else (NodeFile(self.file, "corrections", advice, "manual"),)
        return *own, *(file for engine in self.used for file in engine_files(engine))

    def settings(self) -> object:
        """What is corrected, and by which engines: the file may hold other nodes' corrections too."""
        return plain([self.corrections, self.used])

    def sources(self, video: Video, checksums: Checksums) -> object:
        return checksums.frames(video) if self.used else None

    def describe(self) -> str:
        return f"corrects {count(len(self.list_corrected()), 'answer')} of {self.source} by hand"

    def detail(self) -> str:
        return "by hand"

    def passes_scores_of(self) -> str:
        return self.source

    def list_corrected(self) -> list[str]:
        """Return the sentences that are corrected, as `video/sentence`."""
        return list(dict.fromkeys(one.name_sentence() for one in self.corrections))

    def worker_key(self) -> WorkerKey | None:
        """All engines; a worker holds one at a time, and each is loaded only for videos that need it."""
        names = ", ".join(one.name for one in self.used)
        content = "".join(engine_key(one) for one in self.used)
        return WorkerKey(f"corrections by {names}", f"corrections {content}", shares=False) if self.used else None

    def check_load(self) -> Iterable[str]:
        return (problem for engine in self.used for problem in explain_engine(engine))

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        """Check names of nodes and engines, and that engines take what they are given."""
        for one in self.all_corrections:
            if one.node not in nodes:
                yield f"{self.file}: no node {one.node!r}; {nearest(one.node, nodes)}"
        for one in self.corrections:
            yield from (f"{self.file}: {problem}" for problem in explain_carrier(one, self.engines))

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Check that videos, sentences, frames, sizes and boxes are those of the data set."""
        corrected = dict.fromkeys(one.video for one in self.corrections)
        known = {video.id: video for video in videos}
        is_whole = known.keys() >= corrected.keys()
        if not is_whole and (every := self._list_all()):
            known, is_whole = {video.id: video for video in every}, True
        for name in corrected:
            if name in known:
                video, own = known[name], [one for one in self.corrections if one.video == name]
                yield from (f"{self.file}: {problem}" for problem in find_misfits(own, video, _find_size(video)))
            elif is_whole:
                yield f"{self.file}: no video {name!r} in the data set; {nearest(name, known)}"

    def _list_all(self) -> Sequence[Video]:
        """Return all videos of the data set; none where it is not here, as for a clip of one's own."""
        try:
            return () if self.dataset is None else self.dataset.open().videos
        except InputError:
            return ()

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the answers to all sentences."""
        own = self.of_video(task.video)
        assert isinstance(own, CorrectNode)
        answers = _Answers(task, own)
        return [answers.find(one.id) for one in task.video.expressions]


class _Answers:
    """The corrected answers of one video, each made when it is asked for: one may begin with another."""

    def __init__(self, task: Task, node: CorrectNode) -> None:
        self._task = task
        self._node = node
        self._before = by_expression(task.read(node.source))
        self._found: dict[str, MaskSequence] = {}

    def find(self, sentence: str) -> MaskSequence:
        if sentence not in self._found:
            own = [one for one in self._node.corrections if one.sentence == sentence]
            self._found[sentence] = self._correct(sentence, own) if own else self._before[sentence]
        return self._found[sentence]

    def _correct(self, sentence: str, corrections: Sequence[Correction]) -> MaskSequence:
        from propagate.corrections import correct_sequence

        video = self._task.video
        answer = self._before[sentence]
        for one in corrections:
            if one.same_as is not None:
                answer = self._read(one.same_as.node, one.same_as.sentence)
        places = {name: place for place, name in enumerate(video.frames)}
        given = {
            places[one.frame]: self._give(one, places[one.frame], answer.size)
            for one in corrections
            if one.frame is not None
        }
        emptied = {place for one in corrections if one.empty for place in one.find_places(video)}
        kept = {place for one in corrections if one.keep for place in one.find_places(video)}
        return correct_sequence(video, replace(answer, expression=sentence), given, emptied=emptied, kept=kept)

    def _read(self, node: str | None, sentence: str) -> MaskSequence:
        return self.find(sentence) if node is None else by_expression(self._task.read(node))[sentence]

    def _give(self, one: Correction, frame: int, size: tuple[int, int]) -> GivenMask:
        """Return the mask of a correction with what carries it. Raises InputError: another size, or an empty box."""
        from propagate.box_masks import find_masks
        from propagate.corrections import GivenMask
        from rvos.masks.runs import Runs

        where = f"{self._node.file}: {one.name_sentence()}, frame {one.frame}"
        engine = next((engine for engine in self._node.used if engine.name == one.engine), None)
        propagator = None if engine is None else load_carrier(engine, self._task)
        if one.mask is not None:
            if one.mask.size != size:
                raise InputError(f"{where}: a mask of {one.mask.size}, answers of {size} (H x W); write it anew")
            return GivenMask(one.mask.runs, propagator)
        assert propagator is not None
        (runs,) = find_masks(propagator.engine, self._task.video, frame, np.asarray([one.box], np.float32))
        if not Runs.decode([runs], size).starts.size:
            raise InputError(f"{where}: engine {one.engine} finds nothing in the box; give another one, or a mask")
        return GivenMask(runs, propagator)


def _find_size(video: Video) -> tuple[int, int] | None:
    """Return (H, W) by the header of the first frame; None where it cannot be read, which fails its own video."""
    try:
        return video.read_size()
    except InputError:
        return None
