"""Official files: their envelope, their duplicated entries, and their names for our parts.

Source: cfbi.md, section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from propagate.engines.cfbi.configs import CfbiConfig

_GATES = tuple(f"IA{number}" for number in range(1, 9))
_LAYERS = tuple(f"layer{number}" for number in range(1, 9))
_STAGES = ("S1_{}1", "S1_{}2", "S2_{}1", "S2_{}2", "S2_{}3", "S3_{}1", "S3_{}2", "S3_{}3")
_ROOT = ("seperate_conv", "bn1", "embedding_conv", "bn2")
_SEMANTIC = dict(zip(("0", "1", "3", "4"), _ROOT, strict=True))
_MOBILE = re.compile(
    r"(feature_extracter\.backbone\.)(?:low_level_features|high_level_features|feautre_8x|feature_16x|feature_32x)\."
)


def is_duplicate(name: str) -> bool:
    """Tell whether an entry of an official file repeats another one: modules are registered twice there."""
    return name.startswith("semantic_embedding.") or bool(_MOBILE.match(name))


def repeated(name: str) -> str:
    """Return the name of the entry that a duplicate repeats."""
    number, _, rest = name.removeprefix("semantic_embedding.").partition(".")
    if name.startswith("semantic_embedding.") and number in _SEMANTIC:
        return f"{_SEMANTIC[number]}.{rest}"
    return _MOBILE.sub(r"\1features.", name)


def rename(name: str, config: CfbiConfig) -> str:
    """Return our name of an official entry."""
    name = name.removeprefix("module.")
    if name.split(".")[0] in _ROOT:
        return f"embedding.{name}"
    if name.startswith("fpn."):
        return f"embedding.{name.removeprefix('fpn.')}"
    prefix, _, rest = name.partition("dynamic_seghead.")
    if prefix or not rest:
        return name
    part, _, tail = rest.partition(".")
    gates, layers = _GATES, _LAYERS
    if config.is_pyramid:
        gates, layers = (tuple(form.format(word) for form in _STAGES) for word in ("IA", "layer"))
    if part in gates:
        return f"dynamic_seghead.blocks.{gates.index(part)}.gate.{tail}"
    if part in layers:
        return f"dynamic_seghead.blocks.{layers.index(part)}.block.{tail}"
    return f"dynamic_seghead.ASPP_IA.{tail}" if part == "IA9" else name


def rename_state(state: Mapping[str, Tensor], config: CfbiConfig) -> dict[str, Tensor]:
    """Return an official state by our names, without its duplicates."""
    return {rename(name, config): value for name, value in state.items() if not is_duplicate(name)}
