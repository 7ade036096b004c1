"""Small networks, videos and tokeniser folders for the tests of ReferFormer and MUTR."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextConfig
from rvos.videos import Expression, Video

SIZES = {
    "backbone": "resnet_tiny",
    "text": TextConfig(vocab_size=160, hidden=32, layers=1, heads=2, intermediate=32, max_tokens=24),
    "hidden_dim": 64,
    "heads": 4,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "feedforward": 32,
    "mask_dim": 16,
}
# Pieces of bytes that merge into words of the known texts; their ids are roberta-base's.
_KNOWN = {
    "Hello": 31414,
    "Ġworld": 232,
    "a": 102,
    "Ġperson": 621,
    "the": 627,
    "Ġon": 15,
    "Ġthe": 5,
    "Ġright": 235,
}


def small_network(kind: str) -> ReferFormer:
    """Return a small network whose weights are all random, so that every part matters."""
    torch.manual_seed(0)
    network = Mutr(MutrConfig(**SIZES)) if kind == "mutr" else ReferFormer(ReferFormerConfig(**SIZES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network.eval()


def write_video(folder: Path, *, n_frames: int = 3, size: tuple[int, int] = (48, 64)) -> Video:
    """Write random frames of (H, W) and return them as a video with two expressions."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    paths = []
    for index in range(n_frames):
        path = folder / f"{index:05d}.png"
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    expressions = (Expression("0", "the red circle"), Expression("1", "the small square on the left"))
    return Video("video", tuple(path.stem for path in paths), expressions, tuple(paths))


def write_roberta_folder(folder: Path, *, shift: int = 0) -> Path:
    """Write a vocabulary and merges that give roberta-base's ids for the known texts, all moved by `shift`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number + shift for word, number in _KNOWN.items()}
    merges = []
    # Words after a blank first, or their letters would be merged as those of a first word.
    for word in sorted(_KNOWN, key=lambda word: word[0] != "Ġ"):
        for end in range(2, len(word) + 1):
            merges.append((word[: end - 1], word[end - 1]))
    used = set(vocabulary.values())
    free = (number for number in range(4, 50265) if number not in used)
    pieces = {piece for pair in merges for piece in (*pair, "".join(pair))} | {chr(code) for code in range(33, 127)}
    pieces |= {"Ġ", "Ã", "©", "ł", "ĥ", "Ī", "å", "ä", "º"}
    for piece in sorted(pieces - set(vocabulary)):
        vocabulary[piece] = next(free)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(f"{left} {right}" for left, right in dict.fromkeys(merges)))
    return folder
