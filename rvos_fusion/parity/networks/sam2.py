"""Parity cases of SAM 2: prompted states, their passes, and what every frame attended to."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from propagate.engines.protocol import Augmentation
from propagate.engines.sam2.checkpoints import load_weights
from propagate.engines.sam2.engine import Sam2Engine, Sam2Features, Sam2Object
from propagate.engines.sam2.input import enlarge
from propagate.engines.sam2.memory import Recalled, Seen
from propagate.engines.sam2.network import Found, ImageMaps, Sam2Network
from propagate.engines.sam2.settings import Sam2Settings
from propagate.engines.sam2.sizes import find_config
from propagate.frames import Frame
from rvos.errors import InputError
from rvos_fusion.parity.cases import Arrays, Case, Results, as_stored
from rvos_fusion.parity.networks.propagation import write_video

_PASSES = ("forward", "backward")
_CLIP = 32


class RecordingNetwork(Sam2Network):
    """Writes down what one frame of one object goes through."""

    seen: dict[str, Tensor]
    attended: tuple[int, int]

    def forget(self) -> None:
        """Begin a new frame."""
        self.seen, self.attended = {}, (0, 0)

    def lay_out(self, recalled: Recalled, n_frames: int) -> tuple[Tensor, Tensor]:
        """See `Sam2Network`."""
        tokens, positions = super().lay_out(recalled, n_frames)
        self.seen.update(memory_tokens=tokens, memory_positions=positions)
        self.attended = len(recalled.maps), len(recalled.pointers)
        return tokens, positions

    def remember(self, maps: ImageMaps, found: Found, *, is_prompt: bool) -> Seen:
        """See `Sam2Network`."""
        seen = super().remember(maps, found, is_prompt=is_prompt)
        side = maps.coarse.shape[2]
        self.seen["memory_features"] = seen.memory.float().permute(1, 2, 0).reshape(1, -1, side, side)
        return seen

    def _decode(self, maps: ImageMaps, coarse: Tensor, **prompt: Any) -> Found:
        self.seen["conditioned_features"] = coarse
        return super()._decode(maps, coarse, **prompt)


@torch.inference_mode()
def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a `sam2` case: every state and pass that its outputs name."""
    network = load_network(case, checkpoint)
    settings = Sam2Settings("sam2", checkpoint, protocol="shared")
    engine = Sam2Engine(network, settings, device=torch.device("cpu"))
    arrays: Arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), case.inputs["frames"])
        whole = Augmentation(1.0, mirrored=False)
        frames = [engine.read(Frame(video, index, video.read_size()), whole) for index in range(video.n_frames)]
        # A condensed case may hold the first frames only; distances are still measured by the length of the whole clip.
        n_frames = int(case.inputs.get("n_frames", len(frames)))
        frames = [replace(features, n_frames=n_frames) for features in frames]
        for name in case.inputs:
            if name.endswith(".frame"):
                arrays.update(_run_object(case, engine, frames, name.removesuffix(".frame")))
    return Results(arrays)


def load_network(case: Case, checkpoint: Path) -> RecordingNetwork:
    """Return the case's network, loaded; CheckpointError: no fit, InputError: none that can be built."""
    try:
        config = case.keys["config"]
        version = {"2.0": "sam2", "2.1": "sam2.1"}[config["version"]]
        name, side = f"{version}-hiera-{config['size']}", int(config["image_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{case.folder}: {error}; keys.json names a network that cannot be built") from None
    network = RecordingNetwork(find_config(name, side))
    network.forget()
    load_weights(network.model, checkpoint, network=name)
    return network.eval()


def _run_object(case: Case, engine: Sam2Engine, frames: list[Sam2Features], where: str) -> Arrays:
    """Return the arrays of one object in one state, `STATE.objectID`, passes in the official order."""
    state, _, name = where.partition(".")
    key = int(case.inputs[f"{where}.frame"])
    walker = Sam2Object(engine)
    arrays: Arrays = {}
    for direction in _PASSES:
        if f"{state}.{direction}.frames" not in case.outputs:
            continue
        order = range(key, len(frames)) if direction == "forward" else range(key, -1, -1)
        arrays[f"{state}.{direction}.frames"] = np.asarray(order)
        arrays.update(_run_pass(case, engine, walker, [frames[t] for t in order], f"{state}.{direction}.{name}"))
    return arrays


def _run_pass(case: Case, engine: Sam2Engine, walker: Sam2Object, frames: list[Sam2Features], where: str) -> Arrays:
    """Return the arrays of one pass, `STATE.PASS.objectID`; it starts at the prompted frame."""
    network = engine.network
    assert isinstance(network, RecordingNetwork)
    rows: list[Arrays] = []
    arrays: Arrays = {}
    state, _, name = where.split(".")
    prompt = f"{state}.{name}"
    for number, frame in enumerate(frames):
        network.forget()
        if number > 0:
            found: Found | Seen = walker.step(frame)
            walker.commit(enlarge(found.logits, frame.size)[0, 0] > 0)
        else:
            if f"{prompt}.box" in case.inputs:
                walker.start_from_box(frame, torch.from_numpy(case.inputs[f"{prompt}.box"]))
            else:
                walker.start_from_mask(frame, torch.from_numpy(case.inputs[f"{prompt}.mask"]))
            found = walker.prompted(frame)
        logits = found.logits[0, 0].numpy()
        outputs = {
            "logits": logits,
            "logits_every4": logits[::4, ::4],
            "logits_clipped": logits.clip(-_CLIP, _CLIP),
            "masks": (enlarge(found.logits, frame.size)[0, 0] > 0).numpy().astype(np.uint8),
            "score": found.score.numpy().reshape(()),
            "pointer": found.pointer.numpy().reshape(-1),
            "attended": np.asarray(network.attended),
        }
        rows.append(outputs)
        seen = {f"{where}.f{frame.index}.{stage}": tensor for stage, tensor in network.seen.items()}
        arrays.update(as_stored(case, seen))
    return arrays | {f"{where}.{what}": np.stack([row[what] for row in rows]) for what in rows[0]}
