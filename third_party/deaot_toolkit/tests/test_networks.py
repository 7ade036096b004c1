"""The named networks: parts, sizes and parameter names."""

from __future__ import annotations

import pytest
import torch

from deaot_toolkit import CONFIGS, Engine, NetworkConfigError, build, find_config, find_encoder

# parameters in millions, without frozen batch norms (which are buffers)
MILLIONS = {
    "aott": 5.7,
    "aots": 7.0,
    "aotb": 8.3,
    "aotl": 8.3,
    "r50-aotl": 14.9,
    "swinb-aotl": 65.4,
    "swinl-aotl": 139.9,
    "deaott": 7.2,
    "deaots": 10.2,
    "deaotb": 13.2,
    "deaotl": 13.2,
    "r50-deaotl": 19.8,
    "swinb-deaotl": 70.3,
    "swinl-deaotl": 144.8,
}


@pytest.mark.parametrize("name", list(MILLIONS))
def test_published_parameter_counts(name: str) -> None:
    with torch.device("meta"):
        network = build(name)
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 1) == MILLIONS[name]


@pytest.mark.parametrize("name", ["small-aot", "small-deaot"])
def test_small_networks_are_small(name: str) -> None:
    assert sum(weight.numel() for weight in build(name).parameters()) < 3e6


def test_swin_entries_have_the_official_names() -> None:
    with torch.device("meta"):
        state = build("swinl-deaotl").state_dict()
    assert state["encoder.layers.2.blocks.17.attn.relative_position_bias_table"].shape == (529, 24)
    assert state["encoder.layers.0.blocks.1.attn.relative_position_index"].shape == (144, 144)
    assert state["encoder.layers.1.downsample.reduction.weight"].shape == (768, 1536)
    assert state["encoder.patch_embed.proj.weight"].shape == (192, 3, 4, 4)
    assert state["encoder.norm2.weight"].shape == (768,)
    assert state["patch_wise_id_bank.weight"].shape == (256, 11, 16, 16)
    assert not any(name.startswith(("encoder.layers.3", "encoder.norm3", "encoder.layers.2.down")) for name in state)


def test_resnet_101_has_23_blocks_in_its_last_stage() -> None:
    with torch.device("meta"):
        state = build("r101-aotl").state_dict()
    assert "encoder.layer3.22.bn3.running_var" in state
    assert "encoder.layer3.23.conv1.weight" not in state


@pytest.mark.parametrize("name", ["aots", "deaots", "swinb-aotl", "swinb-deaotl"])
def test_networks_of_every_kind_propagate(name: str) -> None:
    torch.manual_seed(0)
    network = build(name)
    side = 113 if network.config.align_corners else 112
    engine = Engine(network)
    engine.reference(network.encode(torch.randn(1, 3, side, side)), torch.ones(1, side, side, dtype=torch.long), 1)
    logits = engine.propagate(network.encode(torch.randn(1, 3, side, side)))
    assert logits.shape == (1, 11, -(-side // 4), -(-side // 4))
    assert logits.isfinite().all()


@pytest.mark.parametrize("spelling", ["R50_DeAOTL", "r50-deaotl", "R50-DeAOTL"])
def test_names_may_be_spelled_as_in_the_papers(spelling: str) -> None:
    assert find_config(spelling) is CONFIGS["r50-deaotl"]


@pytest.mark.parametrize("spelling", ["swin_large", "SwinL", "swin-l"])
def test_encoders_may_be_spelled_as_in_the_papers(spelling: str) -> None:
    assert find_encoder(spelling).width == 192


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(NetworkConfigError, match=r"r50-aotl.*swinl-deaotl"):
        build("r18-aotl")
    with pytest.raises(NetworkConfigError, match="no field depth"):
        build("small-aot", {"depth": 3})
    with pytest.raises(NetworkConfigError, match="multiple of 16"):
        build("small-aot", {"embedding_dim": 40})


def test_unused_configurations_vary_by_family() -> None:
    assert CONFIGS["swinl-aotl"].align_corners is False
    assert CONFIGS["r101-aotl"].align_corners is True
    assert (CONFIGS["aotb"].long_term_gap, CONFIGS["aotl"].long_term_gap) == (9999, 5)
