"""ReferFormer, MUTR and their single parts against the official networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference import reference

from rvos_fusion.parity.checking import check_case

# What the condensed cases leave out: single parts with large random inputs, and backbones at several sizes.
CASES = (
    "common/convmae_base_backbone",
    "common/criterion",
    "common/cross_modal_fpn",
    "common/dynamic_mask_head",
    "common/ms_deform_attn",
    "common/mutr_mti",
    "common/video_swin_t_backbone",
    "referformer/resnet50_t4",
)


@pytest.mark.parametrize("name", CASES)
def test_every_array_is_the_official_one(name: str) -> None:
    folder: Path = reference(name)
    outputs, stages = check_case(folder)
    assert outputs
    wrong = [f"{row.name}: {row.relative:.2g} > {row.limit:.2g}" for row in outputs + stages if not row.passes]
    assert not wrong
