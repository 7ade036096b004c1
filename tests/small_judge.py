"""A tiny Qwen2.5-VL or Qwen3-VL with random weights, in a folder as the hub has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

MARKS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TYPES = ("qwen2_5_vl", "qwen3_vl")
_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}


def write_judge(folder: Path, model_type: str) -> Path:
    """Write the network, its tokeniser and its preprocessing; return `folder`."""
    folder.mkdir(parents=True)
    _write_tokeniser(folder)
    ids = {mark: 256 + place for place, mark in enumerate(MARKS)}
    shared = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
    text = {**_TEXT, "vocab_size": 256 + len(MARKS)}
    torch.manual_seed(0)
    if model_type == "qwen3_vl":
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
        config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **shared)
        network = transformers.Qwen3VLForConditionalGeneration(config)
    else:
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
        vision |= {"fullatt_block_indexes": [1], "window_size": 56}
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **shared)
        network = transformers.Qwen2_5_VLForConditionalGeneration(config)
    network.save_pretrained(folder)
    processor = {"patch_size": 16 if model_type == "qwen3_vl" else 14, "temporal_patch_size": 2, "merge_size": 2}
    processor |= {
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"shortest_edge": 3136, "longest_edge": 12544},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def _write_tokeniser(folder: Path) -> None:
    """Write one of single bytes, and the marks."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, []))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.add_special_tokens(list(MARKS))
    tokens.save(str(folder / "tokenizer.json"))
