"""Grounding DINO through `transformers`, from a folder, offline. Source: docs/specs/practicalities.md, section 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from deaot_toolkit.errors import CheckpointError as ToolkitCheckpointError
from deaot_toolkit.hub_folders import HUB_INDEX, HUB_WEIGHTS, read_hub_weights
from deaot_toolkit.products import use_direct_products
from torch import Tensor

from runners.detectors.settings import GroundingDinoSettings
from runners.networks.text.word_pieces import WordPieces
from rvos.errors import CheckpointError, InputError
from rvos.masks.detections import FrameBoxes, FrameInstances
from rvos.videos import Video

_MODEL_TYPE = "grounding-dino"
_IGNORED = ("position_ids",)
_SHOWN = 3
_DAMAGE = (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError)
_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class GroundingDino:
    """A loaded Grounding DINO: network and processor of `transformers`, and the word pieces of bert-base-uncased."""

    def __init__(
        self,
        network: Any,
        processor: Any,
        tokens: WordPieces,
        *,
        settings: GroundingDinoSettings,
        device: torch.device,
    ) -> None:
        self._network = network.to(device).eval()
        use_direct_products(self._network)
        self._processor = processor
        self._tokens = tokens
        self._settings = settings
        self._device = device

    def detect(self, video: Video, frames: Sequence[int], nouns: Sequence[Sequence[str]]) -> list[list[FrameInstances]]:
        """See `Detector`; frames are read once for all nouns."""
        found: list[list[FrameInstances]] = [[] for _ in nouns]
        size = video.read_size()
        for index in frames:
            pixels = video.read_frame(index)
            if pixels.shape[:2] != size:
                raise InputError(
                    f"{video.image_paths[index]}: frame of size {pixels.shape[:2]} in a video of size {size}; bring "
                    "all frames of the video to one size"
                )
            picture: Tensor = self._processor(images=pixels, return_tensors="pt")["pixel_values"]
            image = picture.to(self._device)
            for own, names in zip(found, nouns, strict=True):
                own.append(FrameInstances(self._find(image, names, size, where=f"{video.id}/{video.frames[index]}")))
        return found

    @torch.inference_mode()
    def _find(self, image: Tensor, names: Sequence[str], size: tuple[int, int], *, where: str) -> FrameBoxes:
        ids, mask = self._tokens.encode([" ".join(f"{name}." for name in names)])
        precision = _PRECISIONS[self._settings.precision]
        with torch.autocast(self._device.type, dtype=precision, enabled=precision != torch.float32):
            output = self._network(
                pixel_values=image,
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                token_type_ids=torch.zeros_like(ids).to(self._device),
            )
        words = output.logits[0].float().sigmoid().cpu()
        boxes = output.pred_boxes[0].float().cpu()
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        scale = torch.tensor([size[1], size[0]])
        corners = torch.cat([(centre - half) * scale, (centre + half) * scale], dim=1)
        if not torch.isfinite(words).all() or not torch.isfinite(corners).all():
            raise CheckpointError(
                f"{where}: grounding-dino gives values that are not finite; get the checkpoint again, or set "
                "precision to float32"
            )
        scores = words.max(dim=1).values
        kept = torch.nonzero(scores >= self._settings.box_threshold)[:, 0]
        labels = tuple(self._label(words[place], names) for place in kept.tolist())
        return FrameBoxes(corners[kept].numpy(), scores[kept].numpy(), labels)

    def _label(self, words: Tensor, names: Sequence[str]) -> str:
        """Return the names of which a word scores high enough, by the words' scores `(tokens,)`."""
        place, labels = 1, []  # after [CLS]
        for name in names:
            after = place + len(self._tokens.pieces(name))
            if bool((words[place:after] > self._settings.text_threshold).any()):
                labels.append(name)
            place = after + 1
        return " . ".join(labels)


def build(settings: GroundingDinoSettings, *, device: torch.device) -> GroundingDino:
    """Return the detector in a folder of the hub; nothing is downloaded or executed.

    Raises:
        CheckpointError: files are missing, damaged, or of another network.
        ConfigError: the folder's tokeniser is not that of bert-base-uncased.
    """
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    folder = settings.checkpoint
    _check_folder(folder)
    tokens = WordPieces.from_folder(folder)
    network = sketch_network(folder) if device.type == "meta" else load_network(folder)
    try:
        processor = GroundingDinoImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, error) from None
    return GroundingDino(network, processor, tokens, settings=settings, device=device)


def sketch_network(folder: Path) -> Any:
    """Return the network of a folder without weights, on the device `meta`.

    Raises:
        CheckpointError: the configuration or a file is damaged. Keys are accounted for when it is loaded: the library
            renames those of older files on its way, so names in the file alone decide nothing.
    """
    from transformers import GroundingDinoForObjectDetection

    config, _ = _read_folder(folder, outline=True)
    try:
        with torch.device("meta"):
            return GroundingDinoForObjectDetection(config)
    except _DAMAGE as error:
        raise _damaged(folder, error) from None


def load_network(folder: Path) -> Any:
    """Return a folder's network; CheckpointError: damaged, or keys missing, unexpected or of another shape."""
    from transformers import GroundingDinoForObjectDetection
    from transformers.utils import logging

    logging.disable_progress_bar()  # a second bar in the middle of a run's own
    logging.set_verbosity_error()  # what does not fit is told below, in one line
    config, state = _read_folder(folder, outline=False)
    try:
        network, info = GroundingDinoForObjectDetection.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True
        )
    except _DAMAGE as error:
        raise _damaged(folder, error) from None
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        keys = sorted(str(key) for key in info[problem] if not str(key).endswith(_IGNORED))
        if keys:
            raise CheckpointError(
                f"{folder}: {len(keys)} {problem.replace('_', ' ')}, such as {', '.join(keys[:_SHOWN])}; "
                "give the whole folder of one Grounding DINO"
            )
    return network


def _check_folder(folder: Path) -> None:
    from rvos.files.json_files import expect_object, read_json

    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no such folder"
        raise CheckpointError(f"{folder}: {what}; give a folder such as IDEA-Research/grounding-dino-tiny of the hub")
    weights = HUB_INDEX if (folder / HUB_INDEX).is_file() else HUB_WEIGHTS
    for name in ("config.json", "preprocessor_config.json", weights):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder}: no {name}; give a folder such as IDEA-Research/grounding-dino-tiny of the hub, whole"
            )
    stated = expect_object(read_json(folder / "config.json"), where=str(folder / "config.json")).get("model_type")
    if stated != _MODEL_TYPE:
        raise CheckpointError(f"{folder}: a model of type {ascii(stated)[:40]}, expected {_MODEL_TYPE}")


def _read_folder(folder: Path, *, outline: bool) -> tuple[Any, dict[str, Tensor]]:
    """Return the configuration and the weights of a folder, without what trainers add to their names."""
    from transformers import GroundingDinoConfig

    try:
        config = GroundingDinoConfig.from_pretrained(folder, local_files_only=True, disable_custom_kernels=True)
        return config, read_hub_weights(folder, outline=outline)
    except ToolkitCheckpointError as error:
        raise CheckpointError(str(error)) from None
    except _DAMAGE as error:
        raise _damaged(folder, error) from None


def _damaged(folder: Path, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(f"{folder}: cannot be loaded ({reason}); copy the folder again")
