"""A small SAM 2 with fixed weights that make masks of all sorts: what chance alone gives is all or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.sizes import find_config
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

NETWORK = "sam2.1-mini"
SIDE = 64
SIZE = (40, 60)
_LOUDER = {"maskmem": 4.0, "pos_embed": 5.0, "tokens": 4.0, "no_object_pointer": 4.0, "positional_embedding": 8.0}


@torch.no_grad()
def make_network(network: str = NETWORK, side: int = SIDE) -> Sam2Network:
    """Return the network; every weight follows from its name."""
    made = Sam2Network(find_config(network, side))
    for name, value in made.model.state_dict().items():
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "little")
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(value.shape)).float()
        if value.ndim < 2:
            value.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
        else:
            fan_in = value[0].numel() if value.ndim > 1 else 1
            value.copy_(noise / fan_in**0.5 * next((f for part, f in _LOUDER.items() if part in name), 1.0))
    # The object is there unless a test says otherwise.
    made.model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(4.0)
    return made.eval()


def make_video(folder: Path, n_frames: int) -> Video:
    """Return a video of a bright square that moves to the right over noise."""
    random = np.random.default_rng(0)
    names = tuple(f"{number:05d}" for number in range(n_frames))
    paths = tuple(folder / f"{name}.png" for name in names)
    for number, path in enumerate(paths):
        pixels = random.integers(0, 90, (*SIZE, 3), dtype=np.uint8)
        pixels[10:26, number % 40 : number % 40 + 16] = (230, 180, 60)
        Image.fromarray(pixels).save(path)
    return Video("v", names, (), paths)


def make_sequence(video: Video, expression: str = "0", *, key: int) -> MaskSequence:
    """Return a sequence with a mask on its key frame: the square, shifted down by the expression's number."""
    masks = np.zeros((video.n_frames, *SIZE), np.bool_)
    top = 10 + int(expression)
    masks[key, top : top + 16, key % 40 : key % 40 + 16] = True
    scores = np.zeros(video.n_frames, np.float32)
    return MaskSequence.from_masks(
        masks, video=video.id, expression=expression, frames=video.frames, scores=scores, key_frame=key
    )
