"""Parity cases of SAM 3's tracker: prompted states, their passes, and which frames every frame attended to."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deaot_toolkit.errors import ToolkitError
from sam3_toolkit.checkpoints import load_weights
from sam3_toolkit.configs import NetworkConfig
from sam3_toolkit.images import enlarge, prepare_frame
from sam3_toolkit.memory import Recalled, Seen
from sam3_toolkit.session import TrackedObject, TrackerFrame
from sam3_toolkit.tracker import Found, ImageMaps, Tracker
from torch import Tensor

from propagate.engines.protocol import Augmentation
from propagate.engines.sam3.engine import Sam3Engine
from propagate.engines.sam3.settings import Sam3Settings
from propagate.frames import Frame
from rvos.errors import InputError
from rvos_fusion.parity.cases import Arrays, Case, Results, as_stored
from rvos_fusion.parity.networks.propagation import write_video

_PASSES = ("forward", "backward")
_CLIP = 32
_PLACES = {"maps": 8, "pointers": 17}
_NONE = -1


class RecordingTracker(Tracker):
    """Writes down what one frame of one object goes through."""

    seen: dict[str, Tensor]
    recalled: Recalled

    def forget(self) -> None:
        """Begin a new frame."""
        self.seen, self.recalled = {}, Recalled((), ())

    def lay_out(self, recalled: Recalled, n_frames: int) -> tuple[Tensor, Tensor]:
        """See `Tracker`."""
        tokens, positions = super().lay_out(recalled, n_frames)
        self.seen.update(memory_tokens=tokens, memory_positions=positions)
        self.recalled = recalled
        return tokens, positions

    def condition(self, maps: ImageMaps, tokens: Tensor, positions: Tensor, n_pointer_tokens: int) -> Tensor:
        """See `Tracker`."""
        self.seen["conditioned_features"] = super().condition(maps, tokens, positions, n_pointer_tokens)
        return self.seen["conditioned_features"]

    def remember(self, maps: ImageMaps, found: Found, *, is_prompt: bool) -> Seen:
        """See `Tracker`."""
        seen = super().remember(maps, found, is_prompt=is_prompt)
        self.seen["memory_features"] = seen.memory.float().permute(1, 2, 0).reshape(1, -1, self.cells, self.cells)
        return seen


@torch.inference_mode()
def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a `sam3` case: every state of one object, and every pass that its outputs name."""
    tracker = load_tracker(case, checkpoint)
    engine = Sam3Engine(tracker, Sam3Settings("sam3", checkpoint), device=torch.device("cpu"))
    arrays: Arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), case.inputs["frames"])
        whole = Augmentation(1.0, mirrored=False)
        frames = [engine.read(Frame(video, index, video.read_size()), whole) for index in range(video.n_frames)]
    # A condensed case may hold the first frames only; the rules still go by the length of the whole clip.
    n_frames = int(case.inputs.get("n_frames", len(frames)))
    frames = [replace(features, n_frames=n_frames) for features in frames]
    for frame, pixels in zip(frames, case.inputs["frames"], strict=True):
        maps = dict(zip(("3.5", "7", "14"), (*frame.maps.fine, frame.maps.coarse), strict=True))
        stages = {f"f{frame.index}.image.stride{stride}": level for stride, level in maps.items()}
        stages[f"f{frame.index}.pixels"] = prepare_frame(pixels, tracker.side)[0]
        arrays |= as_stored(case, stages)
    objects = [name.removesuffix(".frame") for name in case.inputs if name.endswith(".frame")]
    states = [where.partition(".")[0] for where in objects]
    for where, state in zip(objects, states, strict=True):
        # Several objects in one state share their memory selection; ours have a state each.
        if states.count(state) == 1:
            arrays |= _run_object(case, tracker, frames, where)
    return Results(arrays)


def find_config(case: Case) -> tuple[NetworkConfig, int]:
    """Return the size of a case's network, and the side of its input.

    Raises:
        InputError: the case names no network that can be built.
    """
    try:
        config = case.keys["config"]
        sizes = NetworkConfig(
            width=config["width"],
            depth=config["depth"],
            heads=config["heads"],
            trunk_hidden=round(config["width"] * config["mlp_ratio"]),
            window=config["window"],
            global_blocks=tuple(config["global_blocks"]),
            grid=config["pretrain_image_size"] // config["patch"],
            text_width=config["text_width"],
            text_depth=config["text_layers"],
            text_heads=config["text_heads"],
        )
        return sizes, int(config["image_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{case.folder}: {error}; keys.json names a network that cannot be built") from None


def load_tracker(case: Case, checkpoint: Path) -> RecordingTracker:
    """Return the case's tracker with the weights in `checkpoint`.

    Raises:
        InputError: the case names no network that can be built, or the file does not fit it.
    """
    try:
        tracker = RecordingTracker(*find_config(case))
        load_weights(tracker, checkpoint, network="sam3")
    except ToolkitError as error:
        raise InputError(f"{case.folder}: {error}") from None
    tracker.forget()
    return tracker.eval()


def _run_object(case: Case, tracker: RecordingTracker, frames: list[TrackerFrame], where: str) -> Arrays:
    """Return the arrays of one object in its state, passes in the official order.

    Args:
        where: `STATE.objectID`.
    """
    state, _, name = where.partition(".")
    key = int(case.inputs[f"{where}.frame"])
    walker = TrackedObject(tracker, keeps_turn=True)
    arrays: Arrays = {}
    for direction in _PASSES:
        if f"{state}.{direction}.frames" not in case.outputs:
            continue
        order = range(key, len(frames)) if direction == "forward" else range(key, -1, -1)
        arrays[f"{state}.{direction}.frames"] = np.asarray(order)
        arrays |= _run_pass(case, tracker, walker, [frames[t] for t in order], f"{state}.{direction}.{name}")
    return arrays


def _run_pass(
    case: Case, tracker: RecordingTracker, walker: TrackedObject, frames: list[TrackerFrame], where: str
) -> Arrays:
    """Return the arrays of one pass; it starts at the prompted frame.

    Args:
        where: `STATE.PASS.objectID`.
    """
    rows: list[Arrays] = []
    arrays: Arrays = {}
    state, direction, name = where.split(".")
    prompt = f"{state}.{name}"
    for number, frame in enumerate(frames):
        tracker.forget()
        if number > 0:
            found: Found | Seen = walker.step(frame)
            walker.commit(enlarge(found.logits, frame.size)[0, 0] > 0)
        else:
            if f"{prompt}.box" in case.inputs:
                walker.start_from_box(frame, torch.from_numpy(case.inputs[f"{prompt}.box"]))
            else:
                walker.start_from_mask(frame, torch.from_numpy(case.inputs[f"{prompt}.mask"]))
            found = walker.prompted(frame)
        rows.append(_list_outputs(tracker, found, frame, is_prompt=number == 0))
        memory = {name_: tensor for name_, tensor in tracker.seen.items() if name_ == "memory_features"}
        rest = {name_: tensor for name_, tensor in tracker.seen.items() if name_ != "memory_features"}
        arrays |= as_stored(case, {f"{where}.f{frame.index}.{stage}": tensor for stage, tensor in memory.items()})
        arrays |= as_stored(
            case, {f"{state}.{direction}.f{frame.index}.{stage}": tensor for stage, tensor in rest.items()}
        )
    shared = ("maps", "pointers", "effective")
    for what in rows[0]:
        place = f"{state}.{direction}" if what in shared else where
        arrays[f"{place}.{what}"] = np.stack([row[what] for row in rows])
    return arrays


def _list_outputs(
    tracker: RecordingTracker, found: Found | Seen, frame: TrackerFrame, *, is_prompt: bool
) -> dict[str, Any]:
    logits = found.logits[0, 0].numpy().clip(-_CLIP, _CLIP)
    recalled = {"maps": tracker.recalled.maps, "pointers": tracker.recalled.pointers}
    lists = {
        what: np.array([*(t for _, t, _ in entries), *[_NONE] * (_PLACES[what] - len(entries))])
        for what, entries in recalled.items()
    }
    worth = max(0.0, 2 * float(found.score.sigmoid()) - 1) * found.quality
    return {
        **lists,
        "effective": np.float32(_NONE if is_prompt else worth),
        **{f"logits_clipped_every{step}": logits[::step, ::step] for step in (2, 3, 4)},
        "masks": (enlarge(found.logits, frame.size)[0, 0] > 0).numpy().astype(np.uint8),
        "score": found.score.numpy().reshape(()),
        "quality": np.float32(found.quality),
        "pointer": found.pointer.numpy().reshape(-1),
    }
