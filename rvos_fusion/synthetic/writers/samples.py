"""Writing synthetic videos in the shapes of A2D-Sentences and JHMDB-Sentences: few annotated frames of every clip."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import ConfigError
from rvos.files.atomic import replacing, write_atomically
from rvos.formats.a2d_sentences import CLIPS, MASKS, MISSED, SENTENCES, SPLITS
from rvos.formats.jhmdb_sentences import LIST
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import choose_videos, encode_image

_SUBSETS = {"train": 0, "test": 1}
_ANNOTATED = 3
_CLIP_RATE = Fraction(6)
# Nearly lossless: what the small networks know was drawn, not compressed.
_CODEC_OPTIONS = {"crf": "12", "preset": "veryfast"}


def write_a2d(root: Path, *, seed: int, n_videos: int, split: str = "test") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` as the original files of A2D-Sentences; return numbers of samples and frames.

    A sentence of every object is kept, as in the real set. The list of samples is left to the reader.

    Raises:
        ConfigError: no h5py, or another split than train and test.
        InputError: fewer than one video, or a folder that holds other videos or cannot be written.
    """
    if split not in _SUBSETS:
        raise ConfigError(f"{root}: A2D-Sentences has no split {split}; choose train or test")
    order = choose_videos(root / CLIPS, seed=seed, n_videos=n_videos, suffix=".mp4")
    sentences, subsets, n_samples, n_frames = ["video_id,instance_id,query"], [], 0, 0
    for index in order:
        video = make_video(seed, index)
        frames = choose_frames(len(video.frames))
        _write_clip(root / CLIPS / f"{video.id}.mp4", video.frames)
        subsets.append(
            f"{video.id},1,0,1,{video.frames.shape[1]},{video.frames.shape[2]},"
            f"{len(video.frames)},{len(frames)},{_SUBSETS[split]}"
        )
        own: dict[int, str] = {}
        for one in video.expressions:
            own.setdefault(one.object_id, one.text)
        sentences += [f'{video.id},{instance - 1},"{text}"' for instance, text in own.items()]
        for frame in frames:
            mask = video.index_masks[frame - 1]
            shown = [value for value in range(1, len(video.categories) + 1) if (mask == value).any()]
            if shown:
                write_atomically(root / MASKS / video.id / f"{frame:05d}.h5", _encode_h5(mask, shown))
            n_samples += sum(instance in shown for instance in own)
        n_frames += len(video.frames)
    write_atomically(root / MISSED, b"video_id\n")
    write_atomically(root / SENTENCES, _to_text(sentences))
    write_atomically(root / SPLITS, _to_text(subsets))
    return n_samples, n_frames


def write_jhmdb(root: Path, *, seed: int, n_videos: int, split: str = "test") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` as JHMDB-Sentences; return the numbers of samples and frames.

    Of every video one object is kept, as every clip of the real set shows one person.

    Raises:
        ConfigError: another split than test.
        InputError: fewer than one video, or a folder that holds other videos or cannot be written.
    """
    from scipy.io import savemat  # slow to import

    if split != "test":
        raise ConfigError(f"{root}: JHMDB-Sentences is for evaluation only; say --split test")
    rows, n_frames = [], 0
    for index in choose_videos(root / "Rename_Images" / "shapes", seed=seed, n_videos=n_videos):
        video = make_video(seed, index)
        expression = video.expressions[index % len(video.expressions)]
        masks = (video.index_masks == expression.object_id).astype(np.uint8)
        images, mask_file = f"Rename_Images/shapes/{video.id}", f"puppet_mask/shapes/{video.id}/puppet_mask.mat"
        for number, frame in enumerate(video.frames, start=1):
            write_atomically(root / images / f"{number:05d}.png", encode_image(Image.fromarray(frame), "PNG"))
        stream = io.BytesIO()
        savemat(stream, {"part_mask": masks.transpose(1, 2, 0)}, do_compression=True)
        write_atomically(root / mask_file, stream.getvalue())
        top = root.absolute().name
        rows += [
            [video.id, f"{top}/{images}/{frame:05d}.png", f"{top}/{mask_file}", len(masks), expression.text]
            for frame in choose_frames(len(masks))
        ]
        n_frames += len(masks)
    write_atomically(root / LIST, (json.dumps(rows, indent=0) + "\n").encode())
    return len(rows), n_frames


def choose_frames(n_frames: int) -> tuple[int, ...]:
    """Return the numbers of the annotated frames, from 1: near the start, in the middle, and the last."""
    return tuple(sorted({round(1 + part * (n_frames - 1)) for part in np.linspace(0.1, 1, _ANNOTATED)}))


def _write_clip(path: Path, frames: NDArray[np.uint8]) -> None:
    import av  # slow to import

    height, width = frames.shape[1:3]
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_CLIP_RATE, options=_CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _encode_h5(mask: NDArray[np.uint8], shown: list[int]) -> bytes:
    """Return a file of masks, transposed against the picture, and without a first axis where there is one instance."""
    from rvos.formats.a2d_sentences import import_h5py

    stream = io.BytesIO()
    masks = np.stack([(mask == value).T for value in shown]).astype(np.uint8)
    with import_h5py().File(stream, "w") as content:
        content["instance"] = np.array([value - 1 for value in shown], np.int64)
        content["reMask"] = masks[0] if len(shown) == 1 else masks
    return stream.getvalue()


def _to_text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
