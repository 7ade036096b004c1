"""`rvos export NODE`: stored masks as PNG files, or their probabilities."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from joblib import Parallel, delayed

from rvos.errors import InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.formats.archives.files import list_masks
from rvos.ids import check_id
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos_fusion.clips.soft_exports import SOFT_FORMS, list_soft_masks
from rvos_fusion.tables import print_json


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos export final --workspace runs/demo --out masks/final"
    parser.add_argument("node", metavar="NODE")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for <video>/<exp>/<frame>.png, greyscale, 0/255"
    )
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument(
        "--soft", nargs="?", const="npz", choices=SOFT_FORMS,
        help="write probabilities: <video>/<exp>.npz in half precision, or png16: PNG files of 16 bits",
    )  # fmt: skip
    parser.add_argument("--key-frames", action="store_true", help="add key_frame.json in the form of the 2023 release")
    parser.add_argument(
        "--presence", action="store_true",
        help="add presence.json: <video>, <exp>, <frame>, how sure a detector is that it shows what the sentence names",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the masks of all stored videos of a node."""
    store, node = Store(options.workspace), options.node
    stored = store.videos(node)
    if not stored:
        known = ", ".join(store.nodes()) or "nothing"
        raise StoreError(f"{store.workspace}: no results of node {node}; it has {known}; run the node first")
    missing = [video for video in options.videos if video not in stored]
    if missing:
        raise StoreError(f"{store.workspace}: {node} has no video {missing[0]}; run the node for it first")
    videos = options.videos or stored
    tasks = (delayed(export_video)(store, node, video, options.out, soft=options.soft) for video in videos)
    rows: list[ExportedVideo] = Parallel(n_jobs=options.jobs)(tasks)
    if options.presence and not any(row.presence for row in rows):
        raise StoreError(f"{store.workspace}: no detector says for {node} whether frames show what sentences name")
    if options.presence:
        presences = {row.video: row.presence for row in rows}
        write_atomically(options.out / "presence.json", json.dumps(presences).encode())
    if options.key_frames:
        content = {
            row.video: {name: {"index_info": {"class_index": index}} for name, index in row.key_frames.items()}
            for row in rows
        }
        write_atomically(options.out / "key_frame.json", json.dumps(content).encode())
    n_masks = sum(row.n_masks for row in rows)
    if options.json:
        print_json({"node": node, "out": str(options.out), "videos": len(rows), "masks": n_masks})
    else:
        print(f"{options.out}: {count(n_masks, 'mask')} of {count(len(rows), 'video')} from {node}")
    return 0


@dataclass(frozen=True, slots=True)
class ExportedVideo:
    """What was written of a video: its masks, key frames by expression, and presence by expression and frame."""

    video: str
    n_masks: int
    key_frames: Mapping[str, int]
    presence: Mapping[str, Mapping[str, float]]


def export_video(store: Store, node: str, video: str, out: Path, *, soft: str | None = None) -> ExportedVideo:
    """Write the masks of one video, and return what else is known of it.

    `soft` is the form of probabilities to write instead, one of `SOFT_FORMS`. Raises a StoreError where the stored file
    is damaged, has names that could leave the folder or no soft masks, or a mask cannot be written.
    """
    sequences = store.read(node, video, soft=soft is not None)
    where = str(store.path(node, video))
    try:
        for sequence in sequences:
            check_id(sequence.expression, where=where, what="expression")
            for frame in sequence.frames:
                check_id(frame, where=where, what="frame")
    except InputError as error:
        raise StoreError(str(error)) from None
    count = 0
    for name, content in list_masks(sequences) if soft is None else list_soft_masks(node, sequences, form=soft):
        write_atomically(out / name, content)
        count += 1 if soft != "npz" else sequences[0].n_frames
    key_frames = {sequence.expression: sequence.pick_key_frame() for sequence in sequences}
    presence = {sequence.expression: _list_presence(sequence) for sequence in sequences}
    return ExportedVideo(video, count, key_frames, {name: own for name, own in presence.items() if own})


def _list_presence(sequence: MaskSequence) -> dict[str, float]:
    """Return the presence of each frame that a detector looked at."""
    if sequence.presence is None:
        return {}
    pairs = zip(sequence.frames, sequence.presence.tolist(), strict=True)
    return {frame: round(value, 6) for frame, value in pairs if not isnan(value)}
