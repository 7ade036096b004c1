"""The official weights that this project reads: who publishes them where, under which licence, and what to fetch.

The addresses are those of docs/weights.md.

Source: practicalities.md, section 6; sam2.md, section 1; sam3.md, sections 1 and 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NONE_STATED = "none stated: do not redistribute"


@dataclass(frozen=True, slots=True)
class Family:
    """Weights of one origin: the publishing repository's licence, whom to name, and in words where they are."""

    licence: str
    attribution: str
    place: str


FAMILIES: Mapping[str, Family] = {
    "soc": Family(
        NONE_STATED,
        "SOC: Semantic-assisted Object Cluster, NeurIPS 2023",
        "Google Drive: open the SOC repository, click the link of the backbone and training in its table of models",
    ),
    "mutr": Family(
        "MIT",
        "MUTR, its authors' repository",
        "Google Drive: open the MUTR repository, click the link of the backbone in its table of models",
    ),
    "referformer": Family(
        "Apache-2.0",
        "ReferFormer, its authors' repository",
        "Google Drive: open the ReferFormer repository, click the link of the backbone and training in its model table",
    ),
    "uninext": Family(
        "MIT",
        "UNINEXT, its authors' repository",
        "OneDrive: open the UNINEXT repository, click `video_joint` of the backbone in its model zoo",
    ),
    "aot": Family(
        "BSD-3-Clause",
        "AOT and DeAOT, the aot-benchmark repository",
        "Google Drive: open the aot-benchmark repository, click the network in its model zoo",
    ),
    "cfbi": Family(
        "BSD-3-Clause",
        "CFBI and CFBI+, their authors' repository",
        "open the CFBI repository, click the network and data set in its model zoo",
    ),
    "winners-2023": Family(
        NONE_STATED,
        "the winners' release of the 5th LSVOS challenge, 2023",
        "Google Drive and OneDrive: open that release, click joint SOC, Swin-L AOT and Swin-L DeAOT",
    ),
    "sam2": Family("Apache-2.0", "SAM 2, facebookresearch/sam2", "the hub"),
    "sam3": Family(
        "SAM License",
        "SAM 3, facebookresearch/sam3",
        "the hub, where one accepts the licence first",
    ),
    "grounding-dino": Family("Apache-2.0", "Grounding DINO, IDEA-Research", "the hub"),
    "roberta-base": Family("MIT", "RoBERTa, FacebookAI/roberta-base", "the hub"),
    "bert-base-uncased": Family("Apache-2.0", "BERT, google-bert/bert-base-uncased", "the hub"),
}
DRIVES = ("soc", "mutr", "referformer", "uninext", "aot", "cfbi", "winners-2023")
"""Families that lie behind a drive, where a person must click."""


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A folder of the hub: its public address, key of `FAMILIES`, and the files that this project reads."""

    repository: str
    family: str
    files: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"https://huggingface.co/{self.repository}"


_SAM2 = ("config.json", "model.safetensors")
_DINO = ("config.json", "preprocessor_config.json", "vocab.txt", "model.safetensors")
HUB: Mapping[str, HubFolder] = {
    **{
        f"{version}-hiera-{size}": HubFolder(f"facebook/{version}-hiera-{size}", "sam2", _SAM2)
        for version in ("sam2.1", "sam2")
        for size in ("tiny", "small", "base-plus", "large")
    },
    "sam3": HubFolder("facebook/sam3", "sam3", (*_SAM2, "vocab.json", "merges.txt")),
    **{
        f"grounding-dino-{size}": HubFolder(f"IDEA-Research/grounding-dino-{size}", "grounding-dino", _DINO)
        for size in ("tiny", "base")
    },
    "roberta-base": HubFolder("FacebookAI/roberta-base", "roberta-base", ("vocab.json", "merges.txt")),
    "bert-base-uncased": HubFolder("google-bert/bert-base-uncased", "bert-base-uncased", ("vocab.txt",)),
}
