"""The official files that recipes name: their envelopes, and the names and shapes of what is in them."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import deaot_toolkit
import torch
from torch import nn

from benchmarks.harness import ROOT
from runners.networks.referformer.mutr import Mutr, MutrConfig

LISTS = ROOT / "tests" / "official_lists"
Keys = Mapping[str, Any]
"""Names, shapes and types under `keys`, as a parity case has them, with what decides their values."""


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """One file of official size.

    Args:
        file: its name in the folder of weights.
        keys: gives what is in it.
        source: where names and shapes come from, in words; "size only" where nothing but our own network gives them.
        envelope: entry that holds the state dict, beside which training scripts leave a number; empty: a bare one.
        prefix: before every name, as parallel training leaves it.
    """

    file: str
    keys: Callable[[], Keys]
    source: str = "official names and shapes"
    envelope: str = "model"
    prefix: str = ""


def read_list(name: str) -> Keys:
    """Return an official list of names and shapes."""
    return json.loads(lzma.decompress((LISTS / f"{name}.json.xz").read_bytes()))


def list_own(build: Callable[[], nn.Module]) -> Keys:
    """Return the names and shapes of a network of ours; tied ones have one value."""
    with torch.device("meta"):
        state = build().state_dict()
    return {"keys": [[name, list(value.shape), str(value.dtype)] for name, value in state.items()]}


def widen(name: str, network: str) -> Keys:
    """Return an official list with the shapes that one of our networks has by the same names.

    Raises:
        KeyError: the network lacks a name of the list.
    """
    own = {key: shape for key, shape, _ in list_own(lambda: deaot_toolkit.build(network))["keys"]}
    return {"keys": [[key, own[key], kind] for key, _, kind in read_list(name)["keys"] if "float" in kind]}


_SWIN_B = "official names of Swin-B, our shapes"
OFFICIAL: Mapping[str, OfficialFile] = {
    "soc": OfficialFile("soc.pth", partial(read_list, "soc_video_swin_b"), envelope="model_state_dict"),
    "mutr": OfficialFile("mutr_video_swin_b.pth", partial(read_list, "mutr_video_swin_b")),
    "mutr-swin-l": OfficialFile(
        "mutr.pth", lambda: list_own(lambda: Mutr(MutrConfig(backbone="swin_l_p4w7"))), "size only"
    ),
    "referformer": OfficialFile("referformer.pth", partial(read_list, "referformer_video_swin_b")),
    "referformer-swin-l": OfficialFile("referformer_swin_l.pth", partial(read_list, "referformer_swin_l")),
    "uninext": OfficialFile("uninext.pth", partial(read_list, "uninext_video_joint_vit_huge")),
    "uninext-convnext-l": OfficialFile(
        "uninext_convnext_large.pth", partial(read_list, "uninext_video_joint_convnext_large")
    ),
    "aot": OfficialFile("aot.pth", partial(widen, "aot_swinb_aotl", "swinl-aotl"), _SWIN_B, "state_dict", "module."),
    "deaot": OfficialFile(
        "deaot.pth", partial(widen, "deaot_swinb_deaotl", "swinl-deaotl"), _SWIN_B, "state_dict", "module."
    ),
    "sam2.1-hiera-large": OfficialFile("sam2.1_hiera_large.pt", partial(read_list, "sam21_large")),
    "sam3": OfficialFile("sam3.pt", partial(read_list, "sam3")),
    "cfbi+": OfficialFile("cfbi_plus.pth", partial(read_list, "cfbi_plus"), envelope="state_dict", prefix="module."),
}
"""By name; `making.DINO` comes beside them, as a folder of the hub."""
