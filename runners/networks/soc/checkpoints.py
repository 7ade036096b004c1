"""Official and own SOC files: their sizes are read off the shapes, both key layouts load strictly."""

from __future__ import annotations

import re
from dataclasses import replace

from runners.checkpoints.loading import CheckpointFile, build_network, load_strict, read_stated_config
from runners.networks.parts.recognition import count_children, infer_backbone
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.text.text_encoder import IGNORED_TEXT_KEYS, TextConfig
from rvos.errors import CheckpointError

# The challenge's files call the clip-level transformer by an older name.
RENAMES = ((r"^vita\.", "voc."),)
IGNORED = (*IGNORED_TEXT_KEYS, r"\.relative_position_index$", r"total_params$", r"total_ops$")
_TEXT_HEAD = 64
_DROP_PATH = 0.2


def read_config(file: CheckpointFile) -> SOCConfig:
    """Return what our own file states or an official one's shapes tell; CheckpointError, ConfigError: not SOC's."""
    return read_stated_config(file, "soc", SOCConfig) or infer_config(file)


def load_soc(file: CheckpointFile, config: SOCConfig | None = None) -> SOC:
    """Return the network, sized by `config` or the file, for evaluation; CheckpointError: it does not load whole."""
    sizes = config or read_config(file)
    network = build_network(lambda: SOC(sizes), file)
    load_strict(network, file, renames=RENAMES, ignored=IGNORED)
    return network.eval()


def infer_config(file: CheckpointFile) -> SOCConfig:
    """Return the sizes that the shapes of an official file tell.

    Heads leave no trace in shapes: 8 in the transformers, 64 channels each in the language model.

    Raises:
        CheckpointError: entries that every SOC checkpoint has are missing.
    """
    state = {re.sub(RENAMES[0][0], RENAMES[0][1], name): value for name, value in file.state.items()}
    try:
        found = infer_backbone(state)
        if found is None:
            raise KeyError("a backbone (backbone.0.body.*)")
        words = state["text_encoder.embeddings.word_embeddings.weight"]
        return SOCConfig(
            backbone=replace(found, drop_path=_DROP_PATH),
            text=TextConfig(
                vocab_size=words.shape[0],
                hidden=words.shape[1],
                layers=count_children(state, "text_encoder.encoder.layer."),
                heads=words.shape[1] // _TEXT_HEAD,
                intermediate=state["text_encoder.encoder.layer.0.intermediate.dense.weight"].shape[0],
                # Two rows of the table are no positions: see `build_roberta`.
                max_tokens=state["text_encoder.embeddings.position_embeddings.weight"].shape[0] - 2,
            ),
            channels=state["query_embed.weight"].shape[1],
            queries=state["query_embed.weight"].shape[0],
            classes=state["class_embed.0.weight"].shape[0],
            encoder_layers=count_children(state, "transformer.encoder.layers."),
            decoder_layers=count_children(state, "transformer.decoder.layers."),
            feedforward=state["transformer.encoder.layers.0.linear1.weight"].shape[0],
            voc_encoder_layers=count_children(state, "voc.enc_self_attn."),
            voc_decoder_layers=count_children(state, "voc.transformer_ffn_layers."),
            mask_channels=state["spatial_decoder.out_lay.weight"].shape[0],
            pyramid_widths=tuple(state[f"spatial_decoder.lay{stage}.weight"].shape[0] for stage in range(1, 6)),
        )
    except KeyError as error:
        raise CheckpointError(
            f"{file.path}: no SOC checkpoint, {error.args[0]} is missing; `rvos checkpoint` tells what it is"
        ) from None
    except IndexError:
        raise CheckpointError(f"{file.path}: no SOC checkpoint, its tensors have too few axes; get it again") from None
