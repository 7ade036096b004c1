"""Parity cases of SAM 3's concept detector: phrases in frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from deaot_toolkit.errors import ToolkitError
from sam3_toolkit.checkpoints import load_weights
from sam3_toolkit.detector import Detector, FrameMaps, Instances
from sam3_toolkit.images import enlarge, prepare_frame
from sam3_toolkit.suppression import suppress
from torch import Tensor

from rvos.errors import InputError
from rvos_fusion.parity.cases import Arrays, Case, Results, as_stored
from rvos_fusion.parity.networks.sam3_tracker import find_config

LEAST_SCORE, MOST_IOU = 0.5, 0.1
_MOST_IMAGES, _TOP = 6, 2


@torch.inference_mode()
def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for every frame and phrase of a detector case."""
    detector = load_detector(case, checkpoint)
    arrays: Arrays = {}
    numbers = sorted(int(name.removeprefix("phrase")) for name in case.inputs if name.startswith("phrase"))
    concepts = {}
    for number in numbers:
        tokens = torch.from_numpy(case.outputs[f"phrase{number}.tokens"])[None]
        concepts[number] = detector.read(tokens)
        arrays[f"phrase{number}.tokens"] = tokens[0].numpy()
        arrays |= as_stored(case, {f"phrase{number}.text_features": concepts[number].vectors[0]})
    for index, pixels in enumerate(case.inputs["frames"]):
        image = prepare_frame(pixels, detector.side, case.keys["config"]["resize"])
        maps = detector.encode(image)
        levels = dict(zip(("3.5", "7", "14"), maps.levels, strict=True))
        stages = {f"f{index}.image.stride{stride}": level for stride, level in levels.items()}
        arrays |= as_stored(case, {**stages, f"f{index}.pixels": image[0]})
        for number, concept in concepts.items():
            found = detector.find(maps, concept)
            rows = _list_outputs(detector, maps, found, (pixels.shape[0], pixels.shape[1]))
            arrays |= as_stored(case, {f"f{index}.phrase{number}.{what}": row for what, row in rows.items()})
    return Results(arrays)


def load_detector(case: Case, checkpoint: Path) -> Detector:
    """Return the case's detector with the weights in `checkpoint`.

    Raises:
        InputError: the case names no network that can be built, or the file does not fit it.
    """
    try:
        detector = Detector(*find_config(case))
        load_weights(detector, checkpoint, network="sam3")
    except ToolkitError as error:
        raise InputError(f"{case.folder}: {error}") from None
    return detector.eval()


def _list_outputs(detector: Detector, maps: FrameMaps, found: Instances, size: tuple[int, int]) -> dict[str, Tensor]:
    kept = torch.nonzero(found.scores > LEAST_SCORE)[:, 0]
    top = found.logits.topk(_TOP).indices
    masks, semantic = detector.draw(maps, found, torch.cat([kept, top]))
    alone = suppress(masks[: len(kept)] > 0, found.scores[kept], MOST_IOU)
    outputs = {
        "logits": found.logits,
        "presence": found.presence.reshape(1),
        "boxes": found.boxes,
        "scores": found.scores,
        "kept": kept,
        "kept_after_nms": kept[alone],
        "top": top,
        "mask_logits": masks[len(kept) :],
        "semantic": semantic[::2, ::2],
        "prompt": found.prompt[0],
        "encoder": found.fused[0],
        "queries": found.queries[0],
    }
    shown = alone[:_MOST_IMAGES]
    if len(shown):
        height, width = size
        outputs["image_boxes"] = found.boxes[kept[shown]] * torch.tensor([width, height, width, height])
        images = [enlarge(masks[place][None, None], size)[0, 0].sigmoid() > 0.5 for place in shown.tolist()]
        outputs["image_masks"] = torch.from_numpy(np.stack([image.numpy() for image in images]).astype(np.uint8))
    return outputs
