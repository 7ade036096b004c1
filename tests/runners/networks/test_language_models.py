"""Encoders of transformers by name: hidden states of each, what is refused, and the tokeniser that came with one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from small_language_models import MODELS
from small_tracklets import CONFIG, make_checkpoint
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from runners.grounding.scorer import load_grounder
from runners.grounding.settings import GroundingSettings
from runners.networks.text.language_models import LanguageModel, build_language_model, fit_own_tokens
from runners.networks.tracklets.config import GroundingConfig
from rvos.errors import ConfigError
from rvos.settings import load


@pytest.mark.parametrize("name", MODELS)
def test_every_encoder_gives_a_state_for_each_word_and_none_of_padding_leaks(name: str) -> None:
    torch.manual_seed(0)
    encoder, width = build_language_model(MODELS[name])
    encoder.eval()
    ids, mask = torch.tensor([[0, 5, 7, 2, 1, 1]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    padded = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    assert padded.shape == (1, 6, width)
    alone = encoder(input_ids=ids[:, :4], attention_mask=mask[:, :4]).last_hidden_state
    torch.testing.assert_close(padded[:, :4], alone, atol=1e-5, rtol=1e-4)
    # An encoder-decoder leaves its decoder behind, and nothing reads a pooled sentence.
    assert not any("decoder" in key or "pooler" in key for key in encoder.state_dict())


def test_settings_name_backbones_and_language_models_or_give_sizes() -> None:
    found = load(GroundingConfig, {"backbone": "convnext-large", "text": "deberta"}, where="test")
    assert (found.backbone.kind, found.text) == ("convnext", LanguageModel("deberta"))
    sized = {"model": "bart", "sizes": {"d_model": 32}}
    assert load(GroundingConfig, {"text": sized}, where="test").text == LanguageModel("bart", {"d_model": 32})
    with pytest.raises(ConfigError, match="backbone 'convnext_lage' is unknown; choose one of"):
        load(GroundingConfig, {"backbone": "convnext_lage"}, where="test")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LanguageModel("debert"), "model 'debert' is unknown to transformers; did you mean 'deberta'"),
        (LanguageModel("bert", {"hiden_size": 8}), "bert has no size 'hiden_size'; did you mean 'hidden_size'"),
        (LanguageModel("resnet"), "resnet is no encoder of words"),
    ],
    ids=lambda value: value.model if isinstance(value, LanguageModel) else "",
)
def test_what_is_no_encoder_is_one_line(model: LanguageModel, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_language_model(model)


def write_tokenizer(folder: Path, n_words: int, **special: str) -> Path:
    """Write a tokeniser of `[PAD] [CLS] [SEP] [UNK]` and words, as a model on the hub has it."""
    folder.mkdir()
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *(f"word{index}" for index in range(n_words))]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


SPECIAL = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}


def test_the_tokeniser_of_a_model_gives_its_own_ids(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path / "model", 20, **SPECIAL)
    tokens = fit_own_tokens(folder, MODELS["deberta"], max_tokens=5, where="test")
    ids, mask = tokens.encode(["word3", "word0 word1 other word2"])
    assert ids.tolist() == [[1, 7, 2, 0, 0], [1, 4, 5, 3, 2]]
    assert mask.sum(1).tolist() == [3, 5]


def test_a_tokeniser_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tokenizer; set it to a folder with the files of its language model bert"):
        fit_own_tokens(None, LanguageModel("bert"), max_tokens=9, where="test")
    with pytest.raises(ConfigError, match="no tokeniser that can be read"):
        fit_own_tokens(tmp_path, MODELS["bert"], max_tokens=9, where="test")
    large = write_tokenizer(tmp_path / "large", 500, **SPECIAL)
    with pytest.raises(ConfigError, match="504 word ids, the network knows 400"):
        fit_own_tokens(large, MODELS["bert"], max_tokens=9, where="test")
    bare = write_tokenizer(tmp_path / "bare", 5, pad_token="[PAD]")
    with pytest.raises(ConfigError, match=r"has no \[CLS\], \[SEP\] or padding"):
        fit_own_tokens(bare, MODELS["bert"], max_tokens=9, where="test")


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_states_its_language_model(tmp_path: Path, name: str) -> None:
    path = make_checkpoint(tmp_path / "one.safetensors", dataclasses.replace(CONFIG, text=MODELS[name]))
    grounder = load_grounder(GroundingSettings(path), device=torch.device("cpu"))
    assert grounder.network.config.text == MODELS[name]
