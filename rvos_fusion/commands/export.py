"""`rvos export NODE`: stored masks as PNG files, run lengths or videos to look at, or their probabilities."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from joblib import Parallel, delayed

from rvos.errors import ConfigError, InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.formats.archives.files import list_masks
from rvos.ids import check_id
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.clips.soft_exports import SOFT_FORMS, list_soft_masks
from rvos_fusion.clips.youtube_vis import RUN_LENGTHS, VideoAnnotations, describe_masks, write_annotations
from rvos_fusion.commands.shared_options import add_dataset_options, open_chosen_dataset
from rvos_fusion.tables import print_json

_FORMS = ("png", "rle", "video")


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos export final --workspace runs/demo --out masks/final\n"
        "  rvos export final --workspace runs/demo --out masks/final --as rle\n"
        "  rvos export final --workspace runs/demo --out looks --as video --recipe pipeline.yaml"
    )
    parser.add_argument("node", metavar="NODE")
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the results")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is written")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument(
        "--as", dest="form", choices=_FORMS, default="png",
        help="png: <video>/<exp>/<frame>.png, greyscale, 0/255 (default); rle: masks.json in the form of YouTube-VIS; "
        "video: <video>/<exp>.mp4, masks and sentence over the frames of the data set",
    )  # fmt: skip
    parser.add_argument(
        "--soft", nargs="?", const="npz", choices=SOFT_FORMS,
        help="write probabilities: <video>/<exp>.npz in half precision, or png16: PNG files of 16 bits",
    )  # fmt: skip
    parser.add_argument("--key-frames", action="store_true", help="add key_frame.json in the form of the 2023 release")
    parser.add_argument(
        "--presence", action="store_true",
        help="add presence.json: <video>, <exp>, <frame>, how sure a detector is that it shows what the sentence names",
    )  # fmt: skip
    parser.add_argument("--fps", type=float, help="of --as video; default: 6")
    add_dataset_options(parser)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the masks of all stored videos of a node."""
    if options.soft is not None and options.form != "png":
        raise ConfigError(
            f"--soft {options.soft} and --as {options.form}: probabilities have forms of their own; give one"
        )
    store, node = Store(options.workspace), options.node
    videos = choose_videos(store, node, options.videos)
    clips = open_clips(options, videos) if options.form == "video" else {}
    export = Export(store, node, options.out, options.soft or options.form, options.fps)
    tasks = (delayed(export_video)(export, video, clips.get(video)) for video in videos)
    rows: list[ExportedVideo] = Parallel(n_jobs=options.jobs)(tasks)
    if options.form == "rle":
        found = [row.annotations for row in rows if row.annotations is not None]
        write_atomically(options.out / RUN_LENGTHS, write_annotations(found))
    if options.presence:
        write_presence(options.out, node, rows, store)
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


def choose_videos(store: Store, node: str, asked: Sequence[str]) -> Sequence[str]:
    """Return the videos to write, all that are stored where none are asked for; StoreError where one is not stored."""
    stored = store.videos(node)
    if not stored:
        known = ", ".join(store.nodes()) or "nothing"
        raise StoreError(f"{store.workspace}: no results of node {node}; it has {known}; run the node first")
    missing = [video for video in asked if video not in stored]
    if missing:
        raise StoreError(f"{store.workspace}: {node} has no video {missing[0]}; run the node for it first")
    return asked or stored


def open_clips(options: argparse.Namespace, videos: Sequence[str]) -> dict[str, Video]:
    """Return the videos of the data set by name; ConfigError where none is named, its frames or one of these lack."""
    dataset = open_chosen_dataset(options)
    known = {video.id: video for video in dataset.videos}
    absent = [video for video in videos if video not in known]
    if absent or dataset.image_folder is None:
        what = f"no video {absent[0]}" if absent else "no frames"
        raise ConfigError(f"{dataset.root}: {what}; name the data set that the masks were made for")
    return known


def write_presence(out: Path, node: str, rows: Sequence[ExportedVideo], store: Store) -> None:
    """Write `presence.json`; StoreError where no detector says any."""
    if not any(row.presence for row in rows):
        raise StoreError(f"{store.workspace}: no detector says for {node} whether frames show what sentences name")
    write_atomically(out / "presence.json", json.dumps({row.video: row.presence for row in rows}).encode())


@dataclass(frozen=True, slots=True)
class Export:
    """What is written, and in which form: one of `png`, `rle`, `video` and of `SOFT_FORMS`."""

    store: Store
    node: str
    out: Path
    form: str
    frames_per_second: float | None


@dataclass(frozen=True, slots=True)
class ExportedVideo:
    """What was written of a video: its masks, key frames by expression, and presence by expression and frame.

    `annotations` are its masks themselves where all videos share a file.
    """

    video: str
    n_masks: int
    key_frames: Mapping[str, int]
    presence: Mapping[str, Mapping[str, float]]
    annotations: VideoAnnotations | None


def export_video(export: Export, name: str, clip: Video | None = None) -> ExportedVideo:
    """Write the masks of one video, and return what else is known of it.

    `clip` is the video of the data set, for masks over its frames. Raises a StoreError where the stored file is
    damaged, has names that could leave the folder or no soft masks, or a mask cannot be written, and an InputError
    where the masks do not belong to the clip's frames.
    """
    sequences = export.store.read(export.node, name, soft=export.form in SOFT_FORMS)
    where = str(export.store.path(export.node, name))
    try:
        for sequence in sequences:
            check_id(sequence.expression, where=where, what="expression")
            for frame in sequence.frames:
                check_id(frame, where=where, what="frame")
    except InputError as error:
        raise StoreError(str(error)) from None
    if clip is not None:
        _write_overlays(export, clip, sequences)
    elif export.form != "rle":
        soft = export.form in SOFT_FORMS
        files = list_soft_masks(export.node, sequences, form=export.form) if soft else list_masks(sequences)
        for file, content in files:
            write_atomically(export.out / file, content)
    return ExportedVideo(
        name,
        sum(one.n_frames for one in sequences),
        {one.expression: one.pick_key_frame() for one in sequences},
        {one.expression: own for one in sequences if (own := _list_presence(one))},
        describe_masks(sequences) if export.form == "rle" and sequences else None,
    )


def _write_overlays(export: Export, clip: Video, sequences: Sequence[MaskSequence]) -> None:
    """Write one video for each sentence: those of one object would hide each other."""
    # Fonts and encoders: no other form needs them.
    from rvos_fusion.clips.overlays import FRAMES_PER_SECOND, check_rate, draw_video, write_video

    check_rate(export.frames_per_second)
    for sequence in sequences:
        sequence.check_fits(clip, None, advice=f"make the masks of {export.node} again")
        place = export.out / sequence.video / f"{sequence.expression}.mp4"
        rate = export.frames_per_second or FRAMES_PER_SECOND
        write_video(place, draw_video(clip, [sequence]), frames_per_second=rate)


def _list_presence(sequence: MaskSequence) -> dict[str, float]:
    """Return the presence of each frame that a detector looked at."""
    if sequence.presence is None:
        return {}
    pairs = zip(sequence.frames, sequence.presence.tolist(), strict=True)
    return {frame: round(value, 6) for frame, value in pairs if not isnan(value)}
