"""SAM 3 asked for concepts: a phrase gives instance masks, and whether the frame shows any at all.

Source: docs/specs/sam3.md, sections 3 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deaot_toolkit.errors import CheckpointError as ToolkitCheckpointError
from deaot_toolkit.errors import NetworkConfigError
from deaot_toolkit.file_values import WithoutInitialValues
from sam3_toolkit.checkpoints import load_weights
from sam3_toolkit.configs import find_config
from sam3_toolkit.detector import Concept, Detector, FrameMaps
from sam3_toolkit.images import enlarge, prepare_frame
from sam3_toolkit.phrases import Phrases
from sam3_toolkit.small_parts import clean
from sam3_toolkit.suppression import suppress
from sam3_toolkit.vision import encode_image
from torch import Tensor

from runners.detectors.settings import Sam3DetectorSettings
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.masks.detections import FrameBoxes, FrameInstances
from rvos.masks.mask_sequences import encode
from rvos.videos import Video

_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What a phrase finds in a frame: `(n, 4)` in pixels, `(n,)`, mask logits `(n, 4f, 4f)`, and a probability."""

    boxes: Tensor
    scores: Tensor
    masks: Tensor
    presence: float


class Sam3ConceptDetector:
    """A loaded detector; a frame is encoded once for all nouns, a phrase once for all frames."""

    def __init__(
        self, network: Detector, phrases: Phrases, *, settings: Sam3DetectorSettings, device: torch.device
    ) -> None:
        self._network = network
        self._phrases = phrases
        self._settings = settings
        self._device = device
        self._keep: Callable[[tuple[Path, int], Tensor], None] | None = None

    @property
    def trunk_key(self) -> Hashable:
        """See `SharesTrunk`."""
        own = self._settings
        return own.checkpoint.resolve(), own.network, self._network.side, own.resize, own.precision

    def share_trunk(self, keep: Callable[[tuple[Path, int], Any], None]) -> Any:
        """See `SharesTrunk`."""
        self._keep = keep
        return self._network.model.vision_encoder.backbone

    @torch.inference_mode()
    def detect(self, video: Video, frames: Sequence[int], nouns: Sequence[Sequence[str]]) -> list[list[FrameInstances]]:
        """See `Detector`; of several names of one noun the best masks stay, and the surest presence."""
        size = video.read_size()
        names = list(dict.fromkeys(name for own in nouns for name in own))
        found: list[list[FrameInstances]] = [[] for _ in nouns]
        precision = _PRECISIONS[self._settings.precision]
        with torch.autocast(self._device.type, dtype=precision, enabled=precision != torch.float32):
            concepts = {name: self._network.read(self._phrases.encode(name).to(self._device)) for name in names}
            for index in frames:
                spread = encode_image(self._network.model.vision_encoder.backbone, self._prepare(video, index, size))
                if self._keep is not None:
                    self._keep(video.find_source(index), spread)
                maps = self._network.project(spread)
                where = f"{video.id}/{video.frames[index]}"
                asked = {name: self._find(maps, concept, size, where=where) for name, concept in concepts.items()}
                for own, mine in zip(found, nouns, strict=True):
                    own.append(self._gather({name: asked[name] for name in mine}, size))
        return found

    def _prepare(self, video: Video, index: int, size: tuple[int, int]) -> Tensor:
        pixels = video.read_frame(index)
        if pixels.shape[:2] != size:
            raise InputError(
                f"{video.image_paths[index]}: frame of size {pixels.shape[:2]} in a video of size {size}; bring all "
                "frames of the video to one size"
            )
        return prepare_frame(pixels, self._network.side, self._settings.resize).to(self._device)

    def _find(self, maps: FrameMaps, concept: Concept, size: tuple[int, int], *, where: str) -> _Found:
        instances = self._network.find(maps, concept)
        scores = instances.scores.float()
        chosen = torch.nonzero(scores > self._settings.box_threshold)[:, 0]
        masks = self._network.draw(maps, instances, chosen)[0].float()
        scale = torch.tensor([size[1], size[0], size[1], size[0]], device=scores.device)
        boxes = (instances.boxes.float()[chosen] * scale).clamp(min=0).minimum(scale)
        if not all(torch.isfinite(values).all() for values in (scores, boxes, masks)):
            raise CheckpointError(
                f"{where}: sam3 gives values that are not finite; get the checkpoint again, or set precision to float32"
            )
        return _Found(boxes, scores[chosen], masks, float(instances.presence.float().sigmoid()))

    def _gather(self, found: Mapping[str, _Found], size: tuple[int, int]) -> FrameInstances:
        """Return what was found of one noun's names in a frame, best first."""
        boxes, scores, masks = (
            torch.cat([getattr(one, what) for one in found.values()]) for what in ("boxes", "scores", "masks")
        )
        labels = [name for name, one in found.items() for _ in one.scores]
        kept = suppress(masks > 0, scores, self._settings.mask_iou)
        kept = kept[scores[kept].argsort(descending=True, stable=True)]
        # One by one: at frame size many masks of a large frame take gigabytes.
        cleaned = (clean(masks[number], self._settings.small_parts) for number in kept.tolist())
        runs = [encode((enlarge(mask[None, None], size)[0] > 0).cpu().numpy())[0] for mask in cleaned]
        return FrameInstances(
            FrameBoxes(
                boxes[kept].cpu().numpy().astype(np.float32),
                scores[kept].cpu().numpy().astype(np.float32),
                tuple(labels[number] for number in kept.tolist()),
            ),
            tuple(runs),
            presence=max(one.presence for one in found.values()),
        )


def build(settings: Sam3DetectorSettings, *, device: torch.device) -> Sam3ConceptDetector:
    """Return the detector of a checkpoint.

    Raises:
        CheckpointError: the checkpoint or the vocabulary is missing, damaged or of another network.
        ConfigError: no network of that name, an input size that it does not take, or no vocabulary.
    """
    try:
        config = find_config(settings.network)
        phrases = Phrases.from_folder(_find_vocabulary(settings), size=config.vocabulary)
        outline = device.type == "meta"
        with device if outline else WithoutInitialValues():
            network = Detector(config, settings.image_size)
        load_weights(network, settings.checkpoint, network=settings.network, outline=outline)
    except NetworkConfigError as error:
        raise ConfigError(f"detector {settings.network}: {error}") from None
    except ToolkitCheckpointError as error:
        raise CheckpointError(str(error)) from None
    return Sam3ConceptDetector(network.to(device).eval(), phrases, settings=settings, device=device)


def _find_vocabulary(settings: Sam3DetectorSettings) -> Path:
    if settings.tokenizer is not None:
        return settings.tokenizer
    if settings.checkpoint.is_file():
        raise ConfigError(
            f"{settings.checkpoint}: holds no vocabulary; give `tokenizer`, CLIP's vocab.json and merges.txt"
        )
    return settings.checkpoint
