"""A video of one moment, tracklets on it, and a grounding network that is small enough to build in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from runners.checkpoints.saving import save_network
from runners.networks.backbones.table import BackboneConfig
from runners.networks.text.text_encoder import TextConfig
from runners.networks.tracklets.config import GroundingConfig
from runners.networks.tracklets.network import GroundingNetwork
from rvos.masks.mask_sequences import encode
from rvos.masks.tracklets import Tracklet, TrackletSet
from rvos.videos import Expression, Video

CONFIG = GroundingConfig(
    backbone=BackboneConfig("resnet", 8, (1, 1, 1, 1), norm="group"),
    text=TextConfig(vocab_size=160, hidden=16, layers=1, heads=2, intermediate=16, max_tokens=32, dropout=0.0),
    width=16,
    layers=2,
    heads=2,
    feed_forward=16,
    dropout=0.0,
    slots=4,
    max_words=12,
    short_side=32,
    long_side=64,
    trajectory_layers=1,
)
SENTENCES = ("the red square on the left", "a circle", "the box moving right")
SIZE = (32, 48)
N_FRAMES = 10


def write_video(root: Path) -> Video:
    """Return a video of ten frames of noise."""
    random = np.random.default_rng(0)
    frames = tuple(f"{frame:05d}" for frame in range(N_FRAMES))
    paths = tuple(root / f"{frame}.png" for frame in frames)
    for path in paths:
        Image.fromarray(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(path)
    expressions = tuple(Expression(str(index), text) for index, text in enumerate(SENTENCES))
    return Video("clip", frames, expressions, paths)


def make_tracklets(video: Video, count: int) -> TrackletSet:
    """Return squares that move to the right, each in rows of its own."""
    tracklets = []
    for index in range(count):
        masks = np.zeros((video.n_frames, *SIZE), np.bool_)
        for frame in range(video.n_frames):
            masks[frame, 5 * index : 5 * index + 5, 2 * frame : 2 * frame + 9] = True
        certain = np.ones(video.n_frames, np.float32)
        tracklets.append(Tracklet(video.id, str(index), video.frames, SIZE, encode(masks), certain, 0.9, 0))
    scores = np.linspace(0.9, 0.5, count)
    return TrackletSet(video.id, video.frames, SIZE, tuple(tracklets), scores)


def make_checkpoint(path: Path, config: GroundingConfig = CONFIG, *, seed: int = 0) -> Path:
    """Write a network with random weights, and return its path."""
    torch.manual_seed(seed)
    save_network(path, "tracklet-grounding", config, GroundingNetwork(config))
    return path
