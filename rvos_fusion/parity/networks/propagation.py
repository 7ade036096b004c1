"""Parity cases of bidirectional propagation: frames and a key mask in, both passes through the real propagator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from deaot_toolkit import VosNetwork
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from propagate.engines.aot.engine import AOT_PROTOCOLS, AotEngine, AotRules
from propagate.engines.aot.frames import pick_labels
from propagate.engines.aot.settings import AotSettings
from propagate.engines.inputs import prepare_frame
from propagate.engines.protocol import Augmentation, list_augmentations
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.parity.cases import ArrayDifference, Arrays, Case, Results
from rvos_fusion.parity.networks.aot import load_network
from rvos_fusion.parity.recording import RecordingEngine

VARIANTS: Mapping[str, AotRules] = {
    **AOT_PROTOCOLS,
    "carry": AotRules(carry_memory=True, active_objects=1),
    "own": AotRules(carry_memory=False, active_objects=1),
}
_OWN = "own"
"""Every augmentation is fed its own labels: each goes through the video alone, and only the outcomes are averaged."""
_INPUT_LIMIT = 1e-5


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, zeros at the key: float32 `(T, 1 + ids, H, W)`, and the labels fed, int64 `(T, augmentations, H, W)`."""

    probabilities: Tensor
    fed: Tensor


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a `propagation` case: every variant that its outputs name."""
    network = load_network(case, checkpoint)
    arrays: Arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), case.inputs["frames"])
        for variant in sorted({name.partition(".")[0] for name in case.outputs} & VARIANTS.keys()):
            arrays.update(_run_variant(case, video, network, variant))
    return Results(arrays, tuple(compare_inputs(case, network)))


def write_video(folder: Path, frames: NDArray[np.uint8]) -> Video:
    """Return a video of lossless files with the frames `(T, H, W, 3)`."""
    names = tuple(f"{number:05d}" for number in range(len(frames)))
    paths = tuple(folder / f"{name}.png" for name in names)
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path, compress_level=1)
    return Video("case", names, (), paths)


def compare_inputs(case: Case, network: VosNetwork) -> list[ArrayDifference]:
    """Return the differences of network sizes and of the first network input from the case's."""
    engine = AotEngine(network, _settings(case), device=torch.device("cpu"))
    frame = case.inputs["frames"][int(case.inputs["key_index"])]
    augmentations = _augmentations(case)
    sizes = [engine.input_size(frame.shape[:2], augmentation.scale) for augmentation in augmentations]
    same = np.array_equal(sizes, case.inputs["input_sizes"])
    rows = [ArrayDifference("input_sizes", float(not same), float(not same), 0.0)]
    if same and "key_input_first" in case.inputs:
        image = prepare_frame(frame, sizes[0], mirrored=augmentations[0].mirrored, device=engine.device)
        worst = float(np.abs(image[0].numpy() - case.inputs["key_input_first"]).max())
        rows.append(ArrayDifference("key_input_first", worst, worst, _INPUT_LIMIT))
    return rows


def _settings(case: Case) -> AotSettings:
    return AotSettings(str(case.keys["config"]["name"]), Path("untrained"))


def _augmentations(case: Case) -> tuple[Augmentation, ...]:
    return list_augmentations(case.inputs["scales"].tolist(), flip=bool(case.inputs["flip"]))


def _run_variant(case: Case, video: Video, network: VosNetwork, variant: str) -> Arrays:
    """Return a variant's arrays; probabilities after a tie that flipped are those of a run with the case's labels."""
    free = _propagate(case, video, network, variant)
    arrays = _collect(case, free, variant)
    official = _official_labels(case, variant)
    if official is None or np.array_equal(official, _fed(case, free)):
        return arrays
    probabilities = _collect(case, _propagate(case, video, network, variant, official), variant)
    return {name: probabilities[name] if array.dtype == np.float32 else array for name, array in arrays.items()}


def _propagate(
    case: Case, video: Video, network: VosNetwork, variant: str, labels: NDArray[np.int64] | None = None
) -> Outcome:
    """Return a run of all augmentations together, or of each alone; `labels` are fed instead of their own."""
    augmentations = _augmentations(case)
    parts = [[number] for number in range(len(augmentations))] if variant == _OWN else [[*range(len(augmentations))]]
    outcomes = []
    for numbers in parts:
        engine = RecordingEngine(
            network,
            _settings(case),
            rules=VARIANTS[variant],
            augmentations=[augmentations[number] for number in numbers],
            key=int(case.inputs["key_index"]),
            labels=None if labels is None else labels[:, numbers],
        )
        outcomes.append(_propagate_key(case, video, engine))
    mean = torch.stack([outcome.probabilities for outcome in outcomes]).sum(dim=0) / len(outcomes)
    return Outcome(mean, torch.cat([outcome.fed for outcome in outcomes], dim=1))


def _propagate_key(case: Case, video: Video, engine: RecordingEngine) -> Outcome:
    """Return what one engine makes of the case's key mask."""
    key = int(case.inputs["key_index"])
    masks = np.zeros(case.inputs["frames"].shape[:3], dtype=np.bool_)
    masks[key] = case.inputs["key_mask"] > 0
    scores = np.zeros(video.n_frames, dtype=np.float32)
    sequence = MaskSequence.from_masks(
        masks, video=video.id, expression="0", frames=video.frames, scores=scores, key_frame=key
    )
    frames = [prediction.frame for prediction in Propagator(engine).predict(video, [Source([sequence])])]
    probabilities = torch.zeros(video.n_frames, *engine.means[0].shape)
    fed = torch.zeros(video.n_frames, len(engine.augmentations), *masks.shape[1:], dtype=torch.int64)
    for frame, mean in zip(frames, engine.means, strict=True):
        probabilities[frame] = mean
        fed[frame] = pick_labels(mean)
    return Outcome(probabilities, fed)


def _official_labels(case: Case, variant: str) -> NDArray[np.int64] | None:
    """Return the labels `(T, augmentations, H, W)` that the official memories were fed, if the case has them."""
    n_augmentations = len(case.inputs["mirrored"])
    for name, repeats in (("fed_labels", 1), ("labels", n_augmentations), ("masks", n_augmentations)):
        if f"{variant}.{name}" in case.outputs:
            labels = case.outputs[f"{variant}.{name}"].astype(np.int64)
            return labels if name == "fed_labels" else np.repeat(labels[:, None], repeats, axis=1)
    return None


def _fed(case: Case, outcome: Outcome) -> NDArray[np.int64]:
    """Return the labels `(T, augmentations, H, W)` that our memories were fed; the key mask at the key frame."""
    fed: NDArray[np.int64] = outcome.fed.numpy().copy()
    fed[int(case.inputs["key_index"])] = case.inputs["key_mask"]
    return fed


def _collect(case: Case, outcome: Outcome, variant: str) -> Arrays:
    """Return the arrays of one run under the names of `outputs.npz`."""
    probabilities = outcome.probabilities.numpy()
    labels = np.stack([pick_labels(frame).numpy().astype(np.uint8) for frame in outcome.probabilities])
    labels[int(case.inputs["key_index"])] = case.inputs["key_mask"]
    named = {
        "labels": labels,
        "masks": (labels > 0).astype(np.uint8),
        "written": (labels > 0).astype(np.uint8),
        "fed_labels": _fed(case, outcome).astype(np.uint8),
        "foreground_every4": probabilities[:, 1, ::4, ::4],
        "foreground_frame0": probabilities[0, 1],
        "probs_every8": probabilities[:, :, ::8, ::8],
    }
    return {f"{variant}.{name}": array for name, array in named.items() if f"{variant}.{name}" in case.outputs}
