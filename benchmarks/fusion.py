"""Votes, PNG files, sweeps, memory and store sizes on 720x1280 masks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.dense_fusion import fuse_pair, write_dump
from benchmarks.harness import Masks, Row, compare_masks, fastest, gain, growth, limit, run_apart, timed
from benchmarks.scenes import HEIGHT, WIDTH, draw_object
from fusion.groups import Group
from fusion.methods.votes import Votes
from fusion.rules import fuse_video
from fusion.thresholds import Threshold
from rvos.evaluation.evaluator import SelectedTruth
from rvos.evaluation.expressions import ExpressionJudge
from rvos.files.atomic import write_atomically
from rvos.files.trees import FolderTree
from rvos.formats.reading.truth import IndexSource
from rvos.masks.mask_sequences import MaskSequence, SoftMaps, by_expression
from rvos.masks.png import encode_mask_pngs
from rvos.masks.runs import Runs
from rvos.masks.stored.store import Store
from rvos.videos import Expression, Video
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.planning.results import VideoResults
from rvos_fusion.scores.scoring import ScoringTask
from rvos_fusion.scores.trials import score_trials

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
from contextlib import redirect_stdout
from benchmarks.harness import peak_gib
from rvos_fusion.commands.cli import main
with redirect_stdout(sys.stderr):
    status = main(sys.argv[1:])
print(peak_gib())
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
    ours = fastest(lambda: _vote_and_write(store, folder / "ours"), 3)[1] / (len(_PAIR) * _FRAMES)
    dumps = [folder / f"{name}.pkl" for name in _MODELS]
    for member, path in enumerate(dumps):
        logits = {e: draw_object(_DENSE_FRAMES, seed=1, member=2 * member + i) for i, e in enumerate(_PAIR)}
        write_dump(path, logits)
    baseline = timed(lambda: fuse_pair(dumps, _PAIR, 3, folder / "dense"))[1] / (len(_PAIR) * _DENSE_FRAMES)
    yield gain("votes and PNG files, CPU per expression-frame", 1e3 * ours, 1e3 * baseline, 20, "ms")
    written = [
        [decode_mask(folder / side / f"{expression}/{index:05d}.png") for side in ("ours", "dense")]
        for expression in _PAIR
        for index in range(_DENSE_FRAMES)
    ]
    yield compare_masks("votes on runs and dense votes", ((one, other) for one, other in written), limit=0)


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


def decode_mask(path: Path) -> Masks:
    """Return the marked pixels of a picture."""
    return np.asarray(Image.open(path, formats=["PNG"])) > 0


def _compare_sweep(folder: Path, store: Store) -> Row:
    """Sweep 20 thresholds and one as `rvos sweep` does, ground truth and stored masks read from disk."""
    frames = _sequence(_PAIR[0], 0).frames
    for frame, mask in zip(frames, draw_object(_FRAMES, seed=1, member=99) > 0, strict=True):
        content = encode_mask_pngs(Runs.from_masks(mask[None]))[0]
        write_atomically(folder / "truth" / "video" / f"{frame}.png", content)
    objects = tuple(Expression(e, "a thing", ("255",)) for e in _PAIR)
    video = Video("video", frames, objects, tuple(folder / frame for frame in frames))
    rules = [Votes(tuple(_MODELS), threshold=Threshold("fraction", Fraction(k, 20))) for k in range(1, 21)]
    groups = GroupSettings("object_id")
    nodes = [FuseNode("smr", 0, "stage1", members=rule.members, rule=rule, recipe_groups=groups) for rule in rules]
    truth = SelectedTruth(video, IndexSource(FolderTree(folder / "truth"), video), ExpressionJudge)
    results = VideoResults(store, "video", dict.fromkeys(_MODELS, _FINGERPRINT), "rvos run")
    task = ScoringTask(video, video, results, truth, truth.source, reads_soft=False)

    one, twenty = (1e3 * fastest(partial(score_trials, own, (), None, task), 5)[1] for own in (nodes[9:10], nodes))
    return growth("sweep of 20 thresholds against one", twenty, one, 2, "ms")


def _measure_sizes(folder: Path) -> Iterable[Row]:
    """Yield the stored bytes of an expression-frame against the release's float32 logits."""
    store = Store(folder / "sizes")
    logits = draw_object(_FRAMES, seed=1)[:, ::8, ::8]
    noise = np.random.default_rng(0).normal(0, 0.1, logits.shape).astype(np.float32)
    soft = SoftMaps.quantise(np.ascontiguousarray(logits + noise))
    hard = store.write("hard", "video", [_sequence("0", 0)], _FINGERPRINT).stat().st_size / _FRAMES
    both = store.write("both", "video", [replace(_sequence("0", 0), soft=soft)], _FINGERPRINT).stat().st_size / _FRAMES
    for name, size, bound in (("hard mask", hard, 500), ("soft map", both - hard, 100)):
        yield gain(f"stored {name}, bytes per expression-frame", size, _RELEASE_BYTES, bound, "bytes")


def _measure_memory(folder: Path) -> Iterable[Row]:
    """Yield the largest memory of `rvos run` on few and on many videos."""
    peaks = [_run_fusion(folder / f"memory{n_videos}", n_videos) for n_videos in _VIDEOS]
    for n_videos, peak in zip(_VIDEOS, peaks, strict=True):
        yield limit(f"largest memory of a fusion run, {n_videos} videos", peak, _MEMORY_LIMIT, "MB")


def _run_fusion(folder: Path, n_videos: int) -> float:
    """Return the peak memory in MB of a fusion of three imported members."""
    _write_members(folder, n_videos)
    recipe = folder / "pipeline.yaml"
    models = "".join(f"  {name}: {{import: rle, path: {name}}}\n" for name in _MODELS)
    recipe.write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: runs\ngroups: {by: neighbours}\n"
        f"models:\n{models}stages:\n  stage1:\n    smr: {{fuse: [{', '.join(_MODELS)}], threshold: 3}}\n"
    )
    return 1024 * run_apart(_MEASURED_RUN, "run", str(recipe), "--quiet")[-1]


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
