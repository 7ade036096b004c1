"""Parity cases of bidirectional propagation: frames and a key mask in, both passes through the real driver."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from parity.adapters import Results
from parity.aot import load_network
from parity.cases import ArrayDifference, Case
from parity.forced_labels import ForcedEngine
from propagate.bidirectional import Source, predict
from propagate.engines import EngineSettings, VosEngine
from propagate.passes import PROTOCOLS, Prediction, Rules
from propagate.preprocessing import list_augmentations, prepare_frame
from propagate.toolkit import ToolkitEngine
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

VARIANTS: Mapping[str, Rules] = {
    **PROTOCOLS,
    "carry": Rules(carry_memory=True, active_objects=1),
    "own": Rules(carry_memory=False, active_objects=1, own_labels=True),
}
_INPUT_LIMIT = 1e-5


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a `propagation` case: every variant that its outputs name."""
    settings = EngineSettings(str(case.keys["config"]["name"]), checkpoint)
    engine = ToolkitEngine(load_network(case, checkpoint), settings, device=torch.device("cpu"))
    arrays: dict[str, NDArray[Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), case.inputs["frames"])
        for variant in sorted({name.partition(".")[0] for name in case.outputs} & VARIANTS.keys()):
            arrays.update(_run_variant(case, video, engine, variant))
    return Results(arrays, tuple(compare_inputs(case, engine)))


def write_video(folder: Path, frames: NDArray[np.uint8]) -> Video:
    """Return a video of lossless files with the frames `(T, H, W, 3)`."""
    names = tuple(f"{number:05d}" for number in range(len(frames)))
    paths = tuple(folder / f"{name}.png" for name in names)
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path, compress_level=1)
    return Video("case", names, (), paths)


def compare_inputs(case: Case, engine: VosEngine) -> list[ArrayDifference]:
    """Return the differences of network sizes and of the first network input from the case's."""
    frame = case.inputs["frames"][int(case.inputs["key_index"])]
    augmentations = list_augmentations(case.inputs["scales"].tolist(), flip=bool(case.inputs["flip"]))
    sizes = [engine.input_size(frame.shape[:2], augmentation.scale) for augmentation in augmentations]
    same = np.array_equal(sizes, case.inputs["input_sizes"])
    rows = [ArrayDifference("input_sizes", float(not same), float(not same), 0.0)]
    if same and "key_input_first" in case.inputs:
        image = prepare_frame(frame, sizes[0], mirrored=augmentations[0].mirrored, device=engine.device)
        worst = float(np.abs(image[0].numpy() - case.inputs["key_input_first"]).max())
        rows.append(ArrayDifference("key_input_first", worst, worst, _INPUT_LIMIT))
    return rows


def _run_variant(case: Case, video: Video, engine: VosEngine, variant: str) -> dict[str, NDArray[Any]]:
    """Return a variant's arrays; where a label flips, the probabilities are those of a run with the case's labels.

    A pixel at a tie may flip by rounding; it then changes the memory of all later frames.
    """
    free = _propagate(case, video, engine, VARIANTS[variant])
    arrays = _collect(case, free, variant)
    official = _official_labels(case, variant)
    if official is None or np.array_equal(official, _fed(case, free)):
        return arrays
    mirrored = tuple(case.inputs["mirrored"].tolist())
    forcing = ForcedEngine(engine, official, int(case.inputs["key_index"]), mirrored=mirrored)
    forced = _propagate(case, video, forcing, VARIANTS[variant])
    probabilities = _collect(case, forced, variant)
    return {name: probabilities[name] if array.dtype == np.float32 else array for name, array in arrays.items()}


def _propagate(case: Case, video: Video, engine: VosEngine, rules: Rules) -> list[Prediction]:
    key = int(case.inputs["key_index"])
    masks = np.zeros(case.inputs["frames"].shape[:3], dtype=np.bool_)
    masks[key] = case.inputs["key_mask"] > 0
    scores = np.zeros(video.n_frames, dtype=np.float32)
    sequence = MaskSequence.from_masks(
        masks, video=video.id, expression="0", frames=video.frames, scores=scores, key_frame=key
    )
    scales, flip = case.inputs["scales"].tolist(), bool(case.inputs["flip"])
    return list(predict(video, [Source([sequence])], engine=engine, rules=rules, scales=scales, flip=flip))


def _official_labels(case: Case, variant: str) -> NDArray[np.int64] | None:
    """Return the labels `(T, augmentations, H, W)` that the official memories were fed, if the case has them."""
    n_augmentations = len(case.inputs["mirrored"])
    for name, repeats in (("fed_labels", 1), ("labels", n_augmentations), ("masks", n_augmentations)):
        if f"{variant}.{name}" in case.outputs:
            labels = case.outputs[f"{variant}.{name}"].astype(np.int64)
            return labels if name == "fed_labels" else np.repeat(labels[:, None], repeats, axis=1)
    return None


def _fed(case: Case, predictions: Sequence[Prediction]) -> NDArray[np.int64]:
    """Return the labels `(T, augmentations, H, W)` that our memories were fed; the key mask at the key frame."""
    shape = (len(case.inputs["frames"]), len(case.inputs["mirrored"]), *case.inputs["key_mask"].shape)
    fed = np.zeros(shape, dtype=np.int64)
    fed[int(case.inputs["key_index"])] = case.inputs["key_mask"]
    for prediction in predictions:
        fed[prediction.frame] = prediction.fed.numpy()
    return fed


def _collect(case: Case, predictions: Sequence[Prediction], variant: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one run under the names of `outputs.npz`."""
    n_frames, key = len(case.inputs["frames"]), int(case.inputs["key_index"])
    key_mask = case.inputs["key_mask"]
    n_channels = predictions[0].probabilities.shape[0] if predictions else 2
    labels = np.zeros((n_frames, *key_mask.shape), dtype=np.uint8)
    probabilities = np.zeros((n_frames, n_channels, *key_mask.shape), dtype=np.float32)
    labels[key] = key_mask
    for prediction in predictions:
        labels[prediction.frame] = prediction.labels.numpy()
        probabilities[prediction.frame] = prediction.probabilities.numpy()
    named = {
        "labels": labels,
        "masks": (labels > 0).astype(np.uint8),
        "written": (labels > 0).astype(np.uint8),
        "fed_labels": _fed(case, predictions).astype(np.uint8),
        "foreground_every4": probabilities[:, 1, ::4, ::4],
        "foreground_frame0": probabilities[0, 1],
        "probs_every8": probabilities[:, :, ::8, ::8],
    }
    return {f"{variant}.{name}": array for name, array in named.items() if f"{variant}.{name}" in case.outputs}
