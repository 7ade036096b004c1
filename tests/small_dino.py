"""A tiny Grounding DINO with random weights, in a folder as the hub has it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

WORDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "a": 1037, "the": 1996, "world": 2088}
WORDS |= {"man": 2158, "person": 2711, "cat": 4937, "hello": 7592}


def write_grounding_dino(folder: Path) -> Path:
    """Write the network, its tokeniser and its preprocessing; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [f"[unused{index}]" for index in range(7600)]
    for word, index in WORDS.items():
        pieces[index] = word
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    text = BertConfig(vocab_size=7600, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    swin = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=text,
        num_queries=12,
        encoder_layers=1,
        decoder_layers=2,
        d_model=32,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_text_len=16,
    )
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    processor = {"do_resize": True, "size": {"shortest_edge": 96, "longest_edge": 160}, "do_normalize": True}
    processor |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "do_rescale": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
