"""Votes, PNG files, sweeps, memory and store sizes on 720x1280 masks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.dense_fusion import fuse_pair, write_dump
from benchmarks.masks import HEIGHT, WIDTH, draw_object
from benchmarks.rows import Row, difference_row
from fusion.groups import Group
from fusion.methods.votes import Votes
from fusion.rules import fuse_video
from fusion.sweeps import Setting, list_thresholds
from fusion.thresholds import Threshold
from rvos.evaluation.evaluator import SelectedTruth
from rvos.evaluation.expressions import ExpressionJudge
from rvos.files.atomic import write_atomically
from rvos.files.trees import FolderTree
from rvos.formats.truth import IndexSource
from rvos.masks.mask_sequences import MaskSequence, SoftMaps, by_expression
from rvos.masks.png import encode_mask_pngs
from rvos.masks.runs import Runs
from rvos.masks.stored.store import Store
from rvos.videos import Expression, Video
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.planning.results import VideoResults
from rvos_fusion.scores.scoring import ScoringTask
from rvos_fusion.scores.sweeping import sweep_video

_FRAMES = 12
_DENSE_FRAMES = 4
_MODELS = ("soc", "mutr", "referformer")
_FINGERPRINT = "measured"
_PAIR = ("0", "1")
_RELEASE_BYTES = HEIGHT * WIDTH * 4
_MEMORY_LIMIT = 400.0
_VIDEOS = (2, 24)
_MEASURED_RUN = """
import sys
from pathlib import Path
from rvos_fusion.commands.cli import main
status = main(sys.argv[1:])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1])
sys.exit(status)
"""


def run() -> Iterable[Row]:
    """Yield the rows of this module."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = _fill_store(folder)
        yield from _compare_votes(folder, store)
        yield _compare_sweep(folder, store)
        yield from _measure_sizes(folder)
        yield from _measure_memory(folder)


@cache
def _sequence(expression: str, member: int) -> MaskSequence:
    masks = draw_object(_FRAMES, seed=1, member=member) > 0
    frames = tuple(f"{index:05d}" for index in range(_FRAMES))
    scores = np.linspace(0, 1, _FRAMES, dtype=np.float32)
    return MaskSequence.from_masks(masks, video="video", expression=expression, frames=frames, scores=scores)


def _fill_store(folder: Path) -> Store:
    """Store a pair of expressions of one object as three models see it."""
    store = Store(folder / "runs")
    for member, name in enumerate(_MODELS):
        store.write(name, "video", [_sequence(e, 2 * member + i) for i, e in enumerate(_PAIR)], _FINGERPRINT)
    return store


def _compare_votes(folder: Path, store: Store) -> Iterator[Row]:
    """Vote 3 of 6 and write PNG files for both expressions, reading included on both sides; compare the masks."""
    ours = _time(lambda: _vote_and_write(store, folder / "ours"), repeats=3) / (len(_PAIR) * _FRAMES)
    dumps = [folder / f"{name}.pkl" for name in _MODELS]
    for member, path in enumerate(dumps):
        logits = {e: draw_object(_DENSE_FRAMES, seed=1, member=2 * member + i) for i, e in enumerate(_PAIR)}
        write_dump(path, logits)
    baseline = _time(lambda: fuse_pair(dumps, _PAIR, 3, folder / "dense")) / (len(_PAIR) * _DENSE_FRAMES)
    name = "votes and PNG files, CPU per expression-frame"
    yield Row(name, 1e3 * ours, 1e3 * baseline, baseline / ours, ">= 20", "ms")
    yield _compare_masks(folder)


def _vote_and_write(store: Store, folder: Path) -> None:
    members = [by_expression(store.read(name, "video", soft=False)) for name in _MODELS]
    rule = Votes(tuple(_MODELS), threshold=Threshold.parse("3"))
    files: dict[tuple[bytes, ...], list[bytes]] = {}
    for fused in fuse_video(members, [Group(_PAIR)], rule):
        if fused.runs not in files:
            files[fused.runs] = encode_mask_pngs(fused.as_runs())
        (folder / fused.expression).mkdir(parents=True, exist_ok=True)
        for frame, content in zip(fused.frames, files[fused.runs], strict=True):
            (folder / fused.expression / f"{frame}.png").write_bytes(content)


def _compare_masks(folder: Path) -> Row:
    """Count the pixels in which the masks of both sides differ."""
    from PIL import Image

    differing, pixels = 0, 0
    for expression in _PAIR:
        for index in range(_DENSE_FRAMES):
            name = f"{expression}/{index:05d}.png"
            pictures = [np.asarray(Image.open(folder / side / name, formats=["PNG"])) for side in ("ours", "dense")]
            differing += int((pictures[0] != pictures[1]).sum())
            pixels += pictures[0].size
    return difference_row("votes on runs and dense votes", differing, pixels, limit=0)


def _compare_sweep(folder: Path, store: Store) -> Row:
    """Sweep 20 thresholds and one as `rvos sweep` does, ground truth and stored masks read from disk."""
    frames = _sequence(_PAIR[0], 0).frames
    for frame, mask in zip(frames, draw_object(_FRAMES, seed=1, member=99) > 0, strict=True):
        content = encode_mask_pngs(Runs.from_masks(mask[None]))[0]
        write_atomically(folder / "truth" / "video" / f"{frame}.png", content)
    objects = tuple(Expression(e, "a thing", ("255",)) for e in _PAIR)
    video = Video("video", frames, objects, tuple(folder / frame for frame in frames))
    rule = Votes(tuple(_MODELS), threshold=Threshold.parse("3"))
    node = FuseNode("smr", 0, "stage1", members=rule.members, rule=rule, recipe_groups=GroupSettings("object_id"))
    settings = list_thresholds(rule, [Threshold("fraction", Fraction(k, 20)) for k in range(1, 21)])
    truth = SelectedTruth(video, IndexSource(FolderTree(folder / "truth"), video), ExpressionJudge)
    results = VideoResults(store, "video", dict.fromkeys(_MODELS, _FINGERPRINT), "rvos run")
    task = ScoringTask(video, results, truth, truth.source, reads_soft=False)

    def sweep(chosen: Sequence[Setting]) -> None:
        sweep_video(task, node, [Group(_PAIR)], chosen)

    one = _time(lambda: sweep(settings[9:10]), repeats=3)
    twenty = _time(lambda: sweep(settings), repeats=3)
    return Row("sweep of 20 thresholds against one", 1e3 * twenty, 1e3 * one, twenty / one, "<= 2", "ms")


def _measure_sizes(folder: Path) -> Iterable[Row]:
    """Yield the stored bytes of an expression-frame against the release's float32 logits."""
    store = Store(folder / "sizes")
    logits = draw_object(_FRAMES, seed=1)[:, ::8, ::8]
    noise = np.random.default_rng(0).normal(0, 0.1, logits.shape).astype(np.float32)
    soft = SoftMaps.quantise(np.ascontiguousarray(logits + noise))
    hard = store.write("hard", "video", [_sequence("0", 0)], "").stat().st_size / _FRAMES
    both = store.write("both", "video", [replace(_sequence("0", 0), soft=soft)], "").stat().st_size / _FRAMES
    for name, size, bound in (("hard mask", hard, 500), ("soft map", both - hard, 100)):
        yield Row(f"stored {name}, bytes per expression-frame", size, _RELEASE_BYTES, _RELEASE_BYTES / size,
                  f">= {bound}", "bytes")  # fmt: skip


def _measure_memory(folder: Path) -> Iterable[Row]:
    """Yield the largest memory of `rvos run` on few and on many videos."""
    peaks = [_run_fusion(folder / f"memory{n_videos}", n_videos) for n_videos in _VIDEOS]
    for n_videos, peak in zip(_VIDEOS, peaks, strict=True):
        name = f"largest memory of a fusion run, {n_videos} videos"
        yield Row(name, peak, _MEMORY_LIMIT, peak, f"<= {_MEMORY_LIMIT:.0f}", "MB")


def _run_fusion(folder: Path, n_videos: int) -> float:
    """Return the peak memory in MB of a fusion of three imported members."""
    _write_members(folder, n_videos)
    recipe = folder / "pipeline.yaml"
    models = "".join(f"  {name}: {{import: rle, path: {name}}}\n" for name in _MODELS)
    recipe.write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: runs\ngroups: {by: neighbours}\n"
        f"models:\n{models}stages:\n  stage1:\n    smr: {{fuse: [{', '.join(_MODELS)}], threshold: 3}}\n"
    )
    command = [sys.executable, "-c", _MEASURED_RUN, "run", str(recipe), "--quiet"]
    finished = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    return int(finished.stdout.split()[-1]) / 1024


def _write_members(folder: Path, n_videos: int) -> None:
    """Write an expression file and the run lengths of three members, as JSON a video."""
    names = [f"video{index:03d}" for index in range(n_videos)]
    sequences = [[_sequence(e, 2 * m + i) for i, e in enumerate(_PAIR)] for m in range(len(_MODELS))]
    frames = list(sequences[0][0].frames)
    videos = {name: {"expressions": {e: {"exp": "a thing"} for e in _PAIR}, "frames": frames} for name in names}
    listed = folder / "data/meta_expressions/valid/meta_expressions.json"
    write_atomically(listed, json.dumps({"videos": videos}).encode())
    for model, own in zip(_MODELS, sequences, strict=True):
        content = {s.expression: [{"size": list(s.size), "counts": r.decode()} for r in s.runs] for s in own}
        for name in names:
            write_atomically(folder / model / f"{name}.json", json.dumps(content).encode())


def _time(function: Callable[[], object], *, repeats: int = 1) -> float:
    """Return the least CPU seconds of some calls."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)
