"""A small SAM 3 with fixed weights that make masks of all sorts: what chance alone gives is all or nothing."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch
from sam3_toolkit.checkpoints import list_entries
from sam3_toolkit.configs import CONFIGS
from sam3_toolkit.detector import Detector
from sam3_toolkit.phrases import learn_pairs
from sam3_toolkit.tracker import Tracker
from torch import Tensor

NETWORK = "sam3-mini"
SIDE = 56
_LOUDER = {
    r".*embeddings\.position_embeddings": 8.0,
    r".*(positional_embedding|point_embed\.weight|not_a_point_embed.*|no_mask_embed.*)": 8.0,
    r"tracker_model\..*(_tokens?|_token)\.weight": 12.0,
    r"tracker_model\.memory_temporal_positional_encoding": 4.0,
    r"tracker_model\.no_(object_pointer|memory_embedding)": 8.0,
    r"tracker_model\..*memory_fuser.*scale": 5.0,
}


@torch.no_grad()
def _fill(part: Tracker | Detector) -> None:
    for name, value in list_entries(part).items():
        seed = int.from_bytes(hashlib.sha256(f"10:{name}".encode()).digest()[:6], "little")
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(value.shape)).float()
        if value.ndim < 2:
            value.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
        else:
            louder = next((factor for pattern, factor in _LOUDER.items() if re.fullmatch(pattern, name)), 1.0)
            value.copy_(louder * noise / value[0].numel() ** 0.5)


def make_tracker(side: int = SIDE, *, presence: float = 4.0) -> Tracker:
    """Return the tracker; every weight follows from its name.

    Args:
        presence: added to the logit that the object is there; with 0 it is there in about every second frame.
    """
    made = Tracker(CONFIGS[NETWORK], side)
    _fill(made)
    made.model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(presence)
    return made.eval()


def make_detector(side: int = SIDE) -> Detector:
    """Return the detector; every weight follows from its name."""
    made = Detector(CONFIGS[NETWORK], side)
    _fill(made)
    return made.eval()


def write_vocabulary(folder: Path) -> Path:
    """Write the vocabulary of the small network: a piece a byte, and none longer."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(learn_pairs(())[0]))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def write_weights(path: Path, *parts: Tracker | Detector) -> Path:
    """Write parts of one network as a file with the hub's names."""
    state: dict[str, Tensor] = {}
    for part in parts or (make_tracker(),):
        state |= list_entries(part)
    torch.save(state, path)
    return path
