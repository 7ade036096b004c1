"""Small data sets of single annotated frames, in the layouts of A2D-Sentences and JHMDB-Sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import h5py
import numpy as np
from data_folders import write_json
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

HEIGHT, WIDTH, N_FRAMES = 32, 48, 7


def make_mask(instance: int, frame: int) -> NDArray[np.bool_]:
    """Return the mask `(H, W)` of instance 0 or 1 in a frame, from 1; the first one moves."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    if instance == 0:
        mask[4:14, 2 + 2 * frame : 12 + 2 * frame] = True
    else:
        mask[18:30, 30:44] = True
    return mask


def write_clip(path: Path, n_frames: int = N_FRAMES) -> Path:
    """Write a clip whose frame `t`, from 1, is grey of the value 30 * t."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=6, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(1, n_frames + 1):
            picture = np.full((HEIGHT, WIDTH, 3), 30 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_h5(path: Path, instances: Sequence[int], masks: NDArray[np.uint8]) -> Path:
    """Write a file of masks as they are given: the published ones are transposed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as content:
        content["instance"] = np.array(instances)
        content["reMask"] = masks
    return path


def write_a2d(root: Path, *, listed: bool = True) -> Path:
    """Write a clip with two annotated frames, and a clip of the other split; return the root.

    Frame 1 shows the instances 5 and 3, in this order, frame 4 the instance 3 alone.
    """
    for video in ("clip", "other"):
        write_clip(root / f"Release/clips320H/{video}.mp4")
        folder = root / "text_annotations/a2d_annotation_with_instances" / video
        both = np.stack([make_mask(1, 1).T, make_mask(0, 1).T]).astype(np.uint8)
        write_h5(folder / "00001.h5", [5, 3], both)
        write_h5(folder / "00004.h5", [3], make_mask(0, 4).T.astype(np.uint8))
    (root / "Release/videoset.csv").write_text("clip,1,0,1,32,48,7,2,1\nother,1,0,1,32,48,7,2,0\n")
    (root / "text_annotations/a2d_missed_videos.txt").write_text("video_id\n")
    (root / "text_annotations/a2d_annotation.txt").write_text(
        'video_id,instance_id,query\nclip,3,"A  ball, rolling"\nclip,5,"The box"\nclip,1 (copy),"Broken"\n'
        'other,3,"Elsewhere"\n'
    )
    if listed:
        rows = [["A  ball, rolling", "clip", 1, 3], ["A  ball, rolling", "clip", 4, 3], ["The box", "clip", 1, 5]]
        write_json(root / "a2d_sentences_single_frame_test_annotations.json", rows)
    return root


def write_jhmdb(root: Path) -> Path:
    """Write a clip with the annotated frames 2 and 7; return the root."""
    images, masks = "Rename_Images/roll/clip", "puppet_mask/roll/clip/puppet_mask.mat"
    (root / images).mkdir(parents=True)
    for number in range(1, N_FRAMES + 1):
        picture = np.full((HEIGHT, WIDTH, 3), 30 * number, np.uint8)
        Image.fromarray(picture).save(root / images / f"{number:05d}.png")
    (root / masks).parent.mkdir(parents=True)
    part_mask = np.stack([make_mask(0, frame) for frame in range(1, N_FRAMES + 1)], axis=-1)
    savemat(root / masks, {"part_mask": 7 * part_mask.astype(np.uint8)})
    rows = [
        ["clip", f"{root.name}/{images}/{frame:05d}.png", f"{root.name}/{masks}", N_FRAMES, "The Ball"]
        for frame in (2, 7)
    ]
    write_json(root / "jhmdb_sentences_samples_metadata.json", rows)
    return root
