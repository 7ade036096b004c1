"""SAM 3's tracker, from `transformers`, driven frame by frame and repaired where it leaves the official computation.

Source: docs/specs/sam3.md, sections 2, 5, 6 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn
from transformers import Sam3TrackerVideoModel, Sam3ViTModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionNeck
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import get_1d_sine_pe

from sam3_toolkit.configs import NetworkConfig
from sam3_toolkit.images import enlarge, prepare_mask, shrink
from sam3_toolkit.memory import MOST_PLACES, Recalled, Seen
from sam3_toolkit.vision import build_pyramid, encode_image, encode_positions

_MASK_SCALE, _MASK_BIAS = 20.0, -10.0
"""What the memory encoder is given of probabilities; and 10 or -10 is the score of a given mask."""
_SURE = 1024.0
"""Logit inside a given mask, outside its negative."""
_BOX_LABELS = (2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class ImageMaps:
    """What the tracker needs of a frame of f x f patches; it depends on the image alone.

    Args:
        fine: `(1, 32, 4f, 4f)` and `(1, 64, 2f, 2f)`, after the decoder's own projections.
        coarse: `(1, 256, f, f)`.
    """

    fine: tuple[Tensor, Tensor]
    coarse: Tensor

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self.fine, self.coarse))

    def tokens(self) -> Tensor:
        """Return the coarse map as tokens `(cells, 1, 256)`."""
        return self.coarse.flatten(2).permute(2, 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the decoder says of one object in one frame.

    Args:
        logits: `(1, 1, 4f, 4f)`; -1024 everywhere where the object is not there.
        score: logit that the object is there, `(1, 1, 1)`.
        quality: of the mask as the decoder predicts it, in [0, 1].
        pointer: `(1, 1, 256)`.
    """

    logits: Tensor
    score: Tensor
    quality: float
    pointer: Tensor


class Tracker(nn.Module):
    """The steps of the official tracker for one object; a session strings them together.

    `transformers` has a session too. It is not used: it lacks the memory selection, resizes masks before and not after
    the sigmoid, takes the pointer of a given mask from the wrong token, and keeps every frame.

    Args:
        side: of the square network input, in pixels; None: that of the configuration.

    Raises:
        NetworkConfigError: the patches do not fit the input.
    """

    library_prefixes: ClassVar[Mapping[str, str]] = {
        "trunk.": "detector_model.vision_encoder.backbone.",
        "neck.": "tracker_neck.",
        "model.": "tracker_model.",
    }
    """Where the entries lie in the library's video model, whose names files are read by."""

    def __init__(self, config: NetworkConfig, side: int | None = None) -> None:
        super().__init__()
        self.config = config
        side = side or config.side
        settings = config.tracker(side)
        self.side, self.cells = side, side // settings.vision_config.backbone_config.patch_size
        self.trunk = Sam3ViTModel(settings.vision_config.backbone_config)
        self.neck = Sam3VisionNeck(settings.vision_config)
        self.model = Sam3TrackerVideoModel(settings, remove_vision_encoder=True)
        use_direct_products(self.eval())
        self._per_pointer = self.model.hidden_dim // self.model.mem_dim
        # Both depend on the size alone: the library makes a copy of each for every frame and object.
        image_positions = encode_positions(self.neck, self.model.hidden_dim, self.cells)
        memory_positions = encode_positions(self.model.memory_encoder, self.model.mem_dim, self.cells)
        self.image_positions = nn.Buffer(_as_tokens(image_positions), persistent=False)
        self.memory_positions = nn.Buffer(_as_tokens(memory_positions), persistent=False)

    def encode(self, image: Tensor) -> ImageMaps:
        """Return the maps of an image `(1, 3, side, side)`."""
        return self.project(encode_image(self.trunk, image))

    def project(self, spread: Tensor) -> ImageMaps:
        """Return the maps of a trunk's map `(1, C, f, f)`."""
        finest, fine, coarse = build_pyramid(self.neck, spread)
        decoder = self.model.mask_decoder
        return ImageMaps((decoder.conv_s0(finest), decoder.conv_s1(fine)), coarse)

    def given_mask(self, maps: ImageMaps, mask: Tensor) -> Found:
        """Return the outcome of a given mask `(H, W)`, above 0 inside: the mask itself, and a pointer for it."""
        # Repair: the library binarises the mask at network size; officially its pointer is made of shares of pixels, on
        # a grid of its own size. No memory and no "no memory" vector is added to the image, unlike for boxes.
        soft = prepare_mask(mask, 16 * self.cells)
        # Repair: the pointer is that of token 0; the library takes the best of three masks.
        decoded = self._decode(maps, maps.coarse, input_masks=self.model.mask_downsample(soft), multimask_output=False)
        is_there = (mask > 0).any().reshape(1, 1, 1).float()
        pointer = is_there * decoded.pointer + (1 - is_there) * self.model.no_object_pointer
        logits = shrink((mask > 0).float()[None, None] * 2 * _SURE - _SURE, 4 * self.cells)
        return Found(logits, is_there * _MASK_SCALE + _MASK_BIAS, 1.0, pointer)

    def given_box(self, maps: ImageMaps, corners: Tensor) -> Found:
        """Return the outcome of a prompted box, corners `(1, 1, 2, 2)` in pixels of the input."""
        labels = torch.tensor(_BOX_LABELS, dtype=torch.int32, device=corners.device).reshape(1, 1, 2)
        alone = maps.coarse + self.model.no_memory_embedding.reshape(1, -1, 1, 1)
        return self._decode(maps, alone, input_points=corners, input_labels=labels, multimask_output=False)

    def track(self, maps: ImageMaps, recalled: Recalled, n_frames: int) -> Found:
        """Return the outcome of a frame without a prompt: the best of three masks, after looking at the memory."""
        conditioned = self.condition(
            maps, *self.lay_out(recalled, n_frames), self._per_pointer * len(recalled.pointers)
        )
        return self._decode(maps, conditioned, multimask_output=True)

    def lay_out(self, recalled: Recalled, n_frames: int) -> tuple[Tensor, Tensor]:
        """Return memory tokens and their positions, both `(tokens, 1, 64)`: maps first, then four for each pointer."""
        times = self.model.memory_temporal_positional_encoding
        # Prompted frames have place 0, and so the last of the seven slots.
        tokens = [memory for _, _, memory in recalled.maps]
        positions = [self.memory_positions + times[place - 1] for place, _, _ in recalled.maps]
        if recalled.pointers:
            width = self.model.mem_dim
            # (pointers, 1, 1, 256) -> (4 x pointers, 1, 64) in the official size
            tokens.append(torch.stack([pointer for _, _, pointer in recalled.pointers]).reshape(-1, 1, width))
            places = torch.tensor([float(place) for place, _, _ in recalled.pointers], device=times.device)
            sines = get_1d_sine_pe(places / (min(n_frames, MOST_PLACES) - 1), dim=self.model.hidden_dim)
            projected = self.model.temporal_positional_encoding_projection_layer(sines)
            positions.append(projected[:, None].repeat_interleave(self._per_pointer, dim=0))
        # Maps are kept in bfloat16, as the official code does, and read in float32.
        return torch.cat([token.float() for token in tokens]), torch.cat(positions)

    def condition(self, maps: ImageMaps, tokens: Tensor, positions: Tensor, n_pointer_tokens: int) -> Tensor:
        """Return the coarse map `(1, 256, f, f)` after looking at the memory."""
        flat = self.model.memory_attention(
            current_vision_features=maps.tokens(),
            current_vision_position_embeddings=self.image_positions,
            memory=tokens,
            memory_posision_embeddings=positions,
            num_object_pointer_tokens=n_pointer_tokens,
        )
        # (1, 1, cells, 256) -> (1, 256, f, f)
        conditioned: Tensor = flat[0].transpose(1, 2).reshape(maps.coarse.shape)
        return conditioned

    def remember(self, maps: ImageMaps, found: Found, *, is_prompt: bool) -> Seen:
        """Return a decided frame with its memory: prompts are binarised first, tracked masks are not."""
        large = enlarge(found.logits, (self.side, self.side))
        # Repair: the library resizes the logits to the memory encoder's grid before either.
        probability = (large > 0).float() if is_prompt else large.sigmoid()
        mask = shrink(probability * _MASK_SCALE + _MASK_BIAS, 16 * self.cells)
        memory, _ = self.model.memory_encoder(maps.coarse, mask)
        is_absent = (found.score <= 0).float().reshape(1, 1, 1, 1)
        memory = memory + is_absent * self.model.occlusion_spatial_embedding_parameter.reshape(1, -1, 1, 1)
        kept = _as_tokens(memory).to(torch.bfloat16)
        return Seen(found.logits, found.score, found.quality, found.pointer, kept)

    def _decode(self, maps: ImageMaps, coarse: Tensor, **prompt: Any) -> Found:
        out = self.model._single_frame_forward(image_embeddings=[*maps.fine, coarse], **prompt)
        quality = float(out.iou_scores.max())
        return Found(out.pred_masks, out.object_score_logits, quality, out.object_pointer)


def _as_tokens(positions: Tensor) -> Tensor:
    """Return `(1, C, h, w)` as `(h w, 1, C)`."""
    return positions.flatten(2).permute(2, 0, 1).clone()
