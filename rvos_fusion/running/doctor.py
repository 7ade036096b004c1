"""What a recipe needs and does not find: data set, ground truth, checkpoints, masks, workspace."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rvos.errors import InputError, StoreError
from rvos.formats import Dataset, explain_assumed, find_format
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.executors.summary import format_size
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.versions import list_own_code
from rvos_fusion.planning.foresight import find_largest
from rvos_fusion.planning.workspace import find_place
from rvos_fusion.recipe.graph import build_graph, find_missing_files
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.running.load_checks import find_data_problems, find_load_problems
from rvos_fusion.running.pair_checks import find_apart_pairs

Level = Literal["ok", "note", "missing"]
_SHOWN = 5
_LITTLE_SPACE = 2 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `missing` keeps the recipe from running."""

    level: Level
    text: str


def examine(recipe: Recipe, *, deep: bool = False, executes: bool = False) -> list[Finding]:
    """Return everything worth knowing before a run.

    Args:
        deep: decode every image, read all ground truth and all imported masks.
        executes: import the modules of users that the recipe names, which may do anything.

    Raises:
        ConfigError: a graph that cannot run.
    """
    graph = build_graph(recipe)
    findings = [Finding("note", warning) for warning in graph.warnings]
    findings += _examine_files(graph.nodes)
    findings += _examine_loads(graph.nodes, executes=executes)
    findings += _examine_workspace(recipe.workspace)
    entry = recipe.dataset
    try:
        dataset = entry.open()
    except InputError as error:
        return [*findings, Finding("missing", str(error))]
    findings += examine_dataset(dataset, deep=deep)
    return [
        *findings,
        *_examine_videos(recipe, dataset.videos, deep=deep),
        *_examine_memory(graph.nodes, dataset.videos),
    ]


def examine_dataset(dataset: Dataset, *, deep: bool = False) -> Iterator[Finding]:
    """Yield what is there and what is missing of a data set."""
    name = f"{dataset.root}: split {dataset.split}"
    counts = (len(dataset.videos), dataset.n_expressions)
    yield Finding("ok", f"{name}: {count(counts[0], 'video')}, {count(counts[1], 'expression')}")
    if assumed := explain_assumed(dataset):
        yield Finding("note", assumed)
    form = find_format(dataset.format)
    official = form.official.get(dataset.split)
    if dataset.split == "valid" and counts[0] == form.with_test:
        text = "valid lists the test videos too; add meta_expressions/test/meta_expressions.json to leave them out"
        yield Finding("missing", f"{name}: {text}")
    elif official and official != counts:
        yield Finding("note", f"{name}: the official split has {official[0]} videos, {official[1]} expressions")
    yield from _examine_images(dataset, deep=deep)
    yield from _examine_truth(dataset, deep=deep)


def _examine_images(dataset: Dataset, *, deep: bool) -> Iterator[Finding]:
    if dataset.image_folder is None:
        yield Finding(
            "note", f"{dataset.root}: no images of split {dataset.split}; enough for imported masks, not for networks"
        )
        return
    paths = [path for video in dataset.videos for path in video.image_paths]
    missing = [f"{path}: no such frame; restore it" for path in paths if not path.is_file()]
    damaged = [problem for video in dataset.videos for problem in _find_damaged(video, deep=deep)]
    yield from _show(missing, str(dataset.image_folder), "frames are missing")
    yield from _show(damaged, str(dataset.image_folder), "problems of this kind")
    if not missing and not damaged:
        frames = sum(video.n_frames for video in dataset.videos)
        yield Finding("ok", f"{dataset.image_folder}: all {frames} frames are there")


def _show(problems: Sequence[str], where: str, rest: str) -> Iterator[Finding]:
    """Yield the first problems, and the number of the others."""
    yield from (Finding("missing", problem) for problem in problems[:_SHOWN])
    if len(problems) > _SHOWN:
        yield Finding("missing", f"{where}: {len(problems) - _SHOWN} more {rest}")


def _find_damaged(video: Video, *, deep: bool) -> Iterator[str]:
    """Yield what is wrong with the images that are there: the header of the first, or all of them."""
    size: tuple[int, int] | None = None
    for index, path in enumerate(video.image_paths):
        if not path.is_file() or (index and not deep):
            continue
        try:
            height, width = video.read_frame(index).shape[:2] if deep else video.read_size()
        except InputError as error:
            yield str(error)
            continue
        size = size or (height, width)
        if (height, width) != size:
            yield f"{path}: {height} x {width} pixels, other frames of the video have {size[0]} x {size[1]}"


def _examine_truth(dataset: Dataset, *, deep: bool) -> Iterator[Finding]:
    if dataset.truth is None:
        text = "no ground truth, so nothing can be scored; add annotations and an expression file that names objects"
        yield Finding("note", f"{dataset.root}: split {dataset.split}: {text}")
        return
    unknown = dataset.name_unknown(dataset.videos)
    yield from (Finding("note", line) for line in unknown[:_SHOWN])
    problems, nowhere = [], []
    for video in map(dataset.scored, dataset.videos if deep else dataset.videos[:1]):
        try:
            truth = dataset.read_truth(video)
            for expression in video.expressions if deep else video.expressions[:1]:
                if not truth.masks(expression).any() and expression.object_ids and video.annotated is None:
                    nowhere.append(f"{video.id}/{expression.id}: no annotation holds its object, it counts as absent")
        except InputError as error:
            problems.append(f"ground truth of {video.id}: {error}")
    yield from _show(problems, "ground truth", "videos with problems")
    yield from _show(nowhere, "ground truth", "sentences whose object no annotation holds")
    if not problems:
        yield Finding("ok", f"ground truth: {'all' if deep else 'first'} masks can be read")


def _examine_files(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield what every node lacks, then each file that is there with the nodes that read it."""
    missing = find_missing_files(nodes)
    for node, file in missing:
        yield Finding("missing", f"{node.name}: {file.path}: {file.advice}")
    lacking = {file.path for _, file in missing}
    readers: dict[tuple[Path, str], list[str]] = {}
    for node in nodes:
        for file in node.files():
            if file.path not in lacking:
                readers.setdefault((file.path, file.what), []).append(node.name)
    for (path, what), names in readers.items():
        yield Finding("ok", f"{path}: {what} of {', '.join(names)}")


def _examine_loads(nodes: Sequence[Node], *, executes: bool) -> Iterator[Finding]:
    """Yield what could not be loaded of the nodes whose files are there."""
    lacking = {node.name for node, _ in find_missing_files(nodes)}
    ready = [node for node in nodes if node.name not in lacking]
    for node, problem in find_load_problems(ready, executes=executes):
        yield Finding("missing", f"{node.name}: {problem}")
    if not executes:
        names = dict.fromkeys(code.name for node in ready for code in list_own_code(node))
        yield from (Finding("note", f"{name}: found, and not executed; doctor --load does") for name in names)


def _examine_videos(recipe: Recipe, videos: Sequence[Video], *, deep: bool) -> Iterator[Finding]:
    """Yield what a run would refuse before its first task, then what it would miss of videos."""
    lacking = {node.name for node, _ in find_missing_files(recipe.nodes)}
    ready = [node for node in recipe.nodes if node.name not in lacking]
    for node, problem in find_data_problems(ready, videos, deep=deep):
        yield Finding("missing", f"{node.name}: {problem}")
    for node in recipe.nodes:
        try:
            for problem in node.check_videos(videos):
                yield Finding("missing", f"{node.name}: {problem}")
        except InputError as error:
            yield Finding("missing", f"{node.name}: {error}")
    if not lacking:
        for apart in find_apart_pairs(recipe.graph, videos, deep=deep):
            yield Finding("missing" if apart.outweigh else "note", f"{apart.node.name}: {apart.text}")


def _examine_memory(nodes: Sequence[Node], videos: Sequence[Video]) -> Iterator[Finding]:
    """Yield what the largest network of known size will hold of the video that needs most, beside what is there."""
    if (largest := find_largest(nodes, videos)) is None:
        return
    node, video, there = largest.node, largest.video, count_memory()
    needed = f"memory: {node.name} needs about {format_size(int(largest.megabytes * 1e6))} in float32 for {video.id}"
    of_what = f"({count(video.n_frames, 'frame')}, {count(len(video.expressions), 'sentence')})"
    text = f"{needed} {of_what}, a process; this machine has {format_size(there)}"
    if largest.megabytes * 1e6 <= there:
        yield Finding("ok", text)
    else:
        yield Finding("note", f"{text}; bound it: `window` of a model, `max_memory_frames` of AOT and DeAOT")


def count_memory() -> int:
    """Return the bytes of memory that this machine has, or that processes here may use."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text()
    except OSError:
        return there
    return min(there, int(limit)) if limit.strip().isdecimal() else there


def _examine_workspace(workspace: Path) -> Iterator[Finding]:
    try:
        place = find_place(workspace)
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except StoreError as error:
        yield Finding("missing", str(error))
    except OSError as error:
        yield Finding("missing", f"{workspace}: cannot be written ({error.strerror}); choose another workspace")
    else:
        yield _judge_space(workspace, free)


def _judge_space(workspace: Path, free: int) -> Finding:
    if free < _LITTLE_SPACE:
        return Finding("note", f"{workspace}: {free >> 20} MiB free; a full disk stops a run, finished results stay")
    return Finding("ok", f"{workspace}: {free >> 30} GiB free")
