"""SAM 2's network, from `transformers`, driven frame by frame and repaired where it leaves the official computation.

Source: docs/specs/sam2.md, sections 2, 5, 6 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import get_1d_sine_pe

from propagate.engines.sam2.input import enlarge
from propagate.engines.sam2.memory import N_POINTERS, Recalled, Seen

_MASK_SCALE, _MASK_BIAS = 20.0, -10.0
"""Logits of a given mask are 10 inside and -10 outside; so is the score that the object is there."""
_BOX_LABELS = (2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class ImageMaps:
    """What the image encoder makes of a frame at network input s; it depends on the image alone.

    Args:
        fine: `(1, 32, s/4, s/4)` and `(1, 64, s/8, s/8)`, after the decoder's own projections.
        coarse: `(1, 256, s/16, s/16)`.
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
        logits: `(1, 1, s/4, s/4)`.
        large: `(1, 1, s, s)`, what the memory encoder is given.
        score: logit that the object is there, `(1, 1, 1)`.
        pointer: `(1, 1, 256)`.
    """

    logits: Tensor
    large: Tensor
    score: Tensor
    pointer: Tensor


class Sam2Network(nn.Module):
    """The steps of the official predictor for one object; a session strings them together.

    `transformers` has a session too. It is not used: with several objects it binarises memories of tracked frames,
    it keeps 6 MB a frame and object, and a mask prompt takes its pointer from the wrong token.
    """

    def __init__(self, config: Sam2VideoConfig) -> None:
        super().__init__()
        self.model = Sam2VideoModel(config).eval()
        use_direct_products(self)
        self.side = int(config.image_size)
        cells = self.side // 16
        coarse = torch.empty(1, 64, cells, cells, device="meta").shape
        # Both depend on the size alone: the library makes a copy of each for every frame and object.
        image_position = self.model.vision_encoder.neck.position_encoding
        memory_position = self.model.memory_encoder.position_encoding
        self.image_positions = nn.Buffer(_as_tokens(image_position(coarse, "cpu", torch.float32)), persistent=False)
        self.memory_positions = nn.Buffer(_as_tokens(memory_position(coarse, "cpu", torch.float32)), persistent=False)

    def encode(self, image: Tensor) -> ImageMaps:
        """Return the maps of an image `(1, 3, s, s)`."""
        maps = self.model.vision_encoder(image, return_dict=True).fpn_hidden_states
        decoder = self.model.mask_decoder
        return ImageMaps((decoder.conv_s0(maps[0]), decoder.conv_s1(maps[1])), maps[2])

    def given_mask(self, maps: ImageMaps, mask: Tensor) -> Found:
        """Return the outcome of a prompted mask `(1, 1, s, s)`: the mask itself, and the decoder's pointer for it."""
        large = mask * _MASK_SCALE + _MASK_BIAS
        logits = interpolate(
            large, self.model.prompt_encoder.mask_input_size, mode="bilinear", align_corners=False, antialias=True
        )
        # Repair 1: the official pointer is that of token 0; the library takes the best of three masks. No memory and
        # no "no memory" vector is added to the image here, unlike for boxes.
        decoded = self._decode(maps, maps.coarse, input_masks=self.model.mask_downsample(mask), multimask_output=False)
        is_there = (mask.amax(dim=(2, 3), keepdim=True)[:, 0] > 0).float()  # (1, 1, 1)
        pointer = is_there * decoded.pointer + (1 - is_there) * self.model.no_object_pointer
        # Repair 3: its memory is made from the enlarged low-resolution logits, not from the mask: what is finer than
        # four network pixels is lost.
        return Found(logits, enlarge(logits, (self.side, self.side)), is_there * _MASK_SCALE + _MASK_BIAS, pointer)

    def given_box(self, maps: ImageMaps, corners: Tensor) -> Found:
        """Return the outcome of a prompted box, corners `(1, 1, 2, 2)` in pixels of the input."""
        labels = torch.tensor(_BOX_LABELS, dtype=torch.int32, device=corners.device).reshape(1, 1, 2)
        alone = maps.coarse + self.model.no_memory_embedding.reshape(1, -1, 1, 1)
        return self._decode(maps, alone, input_points=corners, input_labels=labels, multimask_output=False)

    def track(self, maps: ImageMaps, recalled: Recalled, n_frames: int) -> Found:
        """Return the outcome of a frame without a prompt: the best of three masks, after looking at the memory."""
        conditioned = self.condition(maps, *self.lay_out(recalled, n_frames), 4 * len(recalled.pointers))
        return self._decode(maps, conditioned, multimask_output=True)

    def lay_out(self, recalled: Recalled, n_frames: int) -> tuple[Tensor, Tensor]:
        """Return memory tokens and their positions, both `(tokens, 1, 64)`: maps first, then four for each pointer."""
        times = self.model.memory_temporal_positional_encoding
        # Slot 0 of a prompted frame is the last of the seven; the others count from the distance 1.
        tokens = [memory for _, memory in recalled.maps]
        positions = [self.memory_positions + times[slot - 1] for slot, _ in recalled.maps]
        if recalled.pointers:
            distances = [float(distance) for distance, _ in recalled.pointers]
            width = tokens[0].shape[2]
            # (pointers, 1, 1, 256) -> (4 x pointers, 1, 64)
            tokens.append(torch.stack([pointer for _, pointer in recalled.pointers]).reshape(-1, 1, width))
            positions.append(self._pointer_positions(distances, n_frames).repeat_interleave(4, dim=0))
        # Maps are kept in bfloat16, as the official code does, and read in float32.
        return torch.cat([token.float() for token in tokens]), torch.cat(positions)

    def _pointer_positions(self, distances: list[float], n_frames: int) -> Tensor:
        """Return the encoded distances `(pointers, 1, 64)`: zeros in SAM 2, projected sines in SAM 2.1."""
        model, device = self.model, self.memory_positions.device
        if not model.config.enable_temporal_pos_encoding_for_object_pointers:
            return torch.zeros(len(distances), 1, model.mem_dim, device=device)
        longest = min(n_frames, N_POINTERS + 1) - 1
        sines = get_1d_sine_pe(torch.tensor(distances, device=device) / longest, dim=model.hidden_dim)
        projected: Tensor = model.temporal_positional_encoding_projection_layer(sines)
        return projected[:, None]

    def condition(self, maps: ImageMaps, tokens: Tensor, positions: Tensor, n_pointer_tokens: int) -> Tensor:
        """Return the coarse map `(1, 256, s/16, s/16)` after looking at the memory."""
        flat = self.model.memory_attention(
            current_vision_features=maps.tokens(),
            current_vision_position_embeddings=self.image_positions,
            memory=tokens,
            memory_posision_embeddings=positions,
            num_object_pointer_tokens=n_pointer_tokens,
        )
        # (1, 1, cells, 256) -> (1, 256, s/16, s/16)
        return flat[0].transpose(1, 2).reshape(maps.coarse.shape)

    def remember(self, maps: ImageMaps, found: Found, *, is_prompt: bool) -> Seen:
        """Return a decided frame with its memory: prompts are binarised first, tracked masks are not."""
        memory, _ = self.model._encode_new_memory(maps.tokens(), found.large, found.score, is_mask_from_pts=is_prompt)
        return Seen(found.logits, found.score, found.pointer, memory)

    def _decode(self, maps: ImageMaps, coarse: Tensor, **prompt: Any) -> Found:
        out = self.model._single_frame_forward(image_embeddings=[*maps.fine, coarse], **prompt)
        return Found(out.pred_masks, out.high_res_masks, out.object_score_logits, out.object_pointer)


def _as_tokens(positions: Tensor) -> Tensor:
    """Return `(1, C, h, w)` as `(h w, 1, C)`."""
    return positions.flatten(2).permute(2, 0, 1).clone()
