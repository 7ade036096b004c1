"""`rvos export NODE`: stored masks as PNG files, or their probabilities."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from joblib import Parallel, delayed

from rvos.errors import InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.formats.archives.files import list_masks
from rvos.ids import check_id
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
    rows: list[tuple[str, int, dict[str, int]]] = Parallel(n_jobs=options.jobs)(tasks)
    if options.key_frames:
        content = {
            video: {name: {"index_info": {"class_index": index}} for name, index in key_frames.items()}
            for video, _, key_frames in rows
        }
        write_atomically(options.out / "key_frame.json", json.dumps(content).encode())
    n_masks = sum(count for _, count, _ in rows)
    if options.json:
        print_json({"node": node, "out": str(options.out), "videos": len(rows), "masks": n_masks})
    else:
        print(f"{options.out}: {count(n_masks, 'mask')} of {count(len(rows), 'video')} from {node}")
    return 0


def export_video(
    store: Store, node: str, video: str, out: Path, *, soft: str | None = None
) -> tuple[str, int, dict[str, int]]:
    """Write the masks of one video; return its id, the number of masks, and expression -> key frame.

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
    return video, count, {sequence.expression: sequence.pick_key_frame() for sequence in sequences}
