"""Any encoder of transformers that gives hidden states, built offline: one adapter for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from runners.networks.text.tokenizers import SmallTokens, SpecialIds, Tokens, to_batch
from rvos.errors import ConfigError
from rvos.settings import nearest


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """An encoder by name, or the encoder of an encoder-decoder.

    Args:
        model: what `config.json` of such a model calls `model_type`: bert, roberta, deberta, bart, ...
        sizes: entries of its `config.json` that differ from the defaults of transformers for this type.
    """

    model: str
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Files state their sizes as JSON.
        object.__setattr__(self, "sizes", dict(self.sizes))

    @classmethod
    def from_name(cls, name: str) -> LanguageModel:
        """Return the type `name` with the sizes that transformers gives it."""
        return cls(name)


def build_language_model(model: LanguageModel) -> tuple[nn.Module, int]:
    """Return the encoder with random weights, and the width of its hidden states.

    It is called with `input_ids` and `attention_mask` `(B, L)` and gives an object with `last_hidden_state`.

    Raises:
        ConfigError: a type that transformers does not know, or that has no such encoder, or an unknown size.
    """
    from transformers import AutoModel

    config = _read_config(model)
    try:
        whole = AutoModel.from_config(config)
    except ValueError as error:
        raise ConfigError(f"text: {model.model} has no encoder ({str(error).splitlines()[0][:100]})") from None
    encoder = whole.get_encoder() if config.is_encoder_decoder else whole
    # Sentences are read word by word; nothing reads the pooled first one.
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    return encoder, config.hidden_size


def _read_config(model: LanguageModel) -> Any:
    from transformers import CONFIG_MAPPING, AutoConfig

    if model.model not in CONFIG_MAPPING:
        raise ConfigError(
            f"text: model {model.model!r} is unknown to transformers; {nearest(model.model, CONFIG_MAPPING)}"
        )
    known = AutoConfig.for_model(model.model)
    for name in model.sizes:
        # The library would keep any word as an attribute that nothing reads.
        if not hasattr(known, name):
            raise ConfigError(f"text: {model.model} has no size {name!r}; {nearest(name, known.to_dict())}")
    config = AutoConfig.for_model(model.model, **model.sizes)
    if not hasattr(config, "hidden_size") or not hasattr(config, "vocab_size"):
        raise ConfigError(
            f"text: {model.model} is no encoder of words; name one such as bert, roberta, deberta or bart"
        )
    return config


class OwnTokens:
    """The tokeniser that came with a language model, read by transformers without its code."""

    def __init__(self, folder: Path, *, max_tokens: int) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        # The library raises plain exceptions for what is missing or damaged.
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"{folder}: no tokeniser that can be read ({reason}); copy the model's files") from None
        found = (self._tokenizer.cls_token_id, self._tokenizer.sep_token_id, self._tokenizer.pad_token_id)
        if None in found:
            raise ConfigError(f"{folder}: its tokeniser has no [CLS], [SEP] or padding; give that of an encoder")
        self._special = SpecialIds(*found)
        self._max_tokens = max_tokens
        self.vocabulary_size = len(self._tokenizer)

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids and mask; see `Tokens`."""
        pieces = [self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in texts]
        return to_batch(texts, pieces, self._max_tokens, self._special)


def fit_own_tokens(folder: Path | None, model: LanguageModel, *, max_tokens: int, where: str) -> Tokens:
    """Return the tokeniser in a folder, or the small word list where the model has a vocabulary of its own size.

    Raises:
        ConfigError: the files are missing, or do not fit the network.
    """
    vocabulary = _read_config(model).vocab_size
    if folder is None and "vocab_size" not in model.sizes:
        raise ConfigError(
            f"{where}: no tokenizer; set it to a folder with the files of its language model {model.model}"
        )
    tokens = SmallTokens(max_tokens=max_tokens) if folder is None else OwnTokens(folder, max_tokens=max_tokens)
    if tokens.vocabulary_size > vocabulary:
        raise ConfigError(
            f"{folder or where}: {tokens.vocabulary_size} word ids, the network knows {vocabulary}; "
            "give the tokeniser that it was trained with"
        )
    return tokens
