"""Language models of transformers, small enough to build in a test."""

from __future__ import annotations

from runners.networks.text.language_models import LanguageModel

_BERT = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
_BART = {"vocab_size": 400, "d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
MODELS = {
    "bert": LanguageModel("bert", _BERT),
    "roberta": LanguageModel("roberta", _BERT),
    "deberta": LanguageModel("deberta", _BERT | _RELATIVE),
    "bart": LanguageModel("bart", {**_BART, "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}),
}
