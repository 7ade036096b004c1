"""Files of SAM 3 are told with every key; other families in `test_checkpoint_command`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from sam3_toolkit.key_names import UNUSED
from sam3_weights import make_detector, make_tracker, write_weights

from runners.checkpoints.loading import CheckpointFile, read_checkpoint
from rvos_fusion.weights.identification import identify

LAYOUT = Path(__file__).parents[3] / "third_party/sam3_toolkit/tests/official_layout.json"
COUNTS = {".blocks.": 32, ".resblocks.": 24}


def read_official() -> CheckpointFile:
    """Return `sam3.pt` without values."""
    state = {}
    for name, shape in json.loads(LAYOUT.read_text()).items():
        part = next((part for part in COUNTS if f"{part}N." in name), "")
        for number in range(COUNTS.get(part, 1)):
            state[name.replace("N.", f"{number}.")] = torch.empty(shape, device="meta")
    return CheckpointFile(Path("sam3.pt"), state)


def test_the_official_file_is_told_with_every_key() -> None:
    file = read_official()
    found = identify(file)
    assert found is not None
    assert (found.network, found.layout, found.report.is_complete) == ("sam3", "official", True)
    report = found.report
    assert len(report.matched) + len(report.renamed) + len(report.ignored) == len(file.state) == 1465
    assert sum(name.endswith("freqs_cis") for name in report.ignored) == 32
    stacked = "detector.transformer.decoder.layers.0.ca_text.in_proj_bias"
    names = [f"detector_model.detr_decoder.layers.0.text_cross_attn.{one}_proj.bias" for one in "qkv"]
    assert report.renamed[stacked] == ", ".join(names)


def test_what_an_official_file_lacks_or_has_too_much_is_named() -> None:
    file = read_official()
    state = {name: value for name, value in file.state.items() if name not in ("tracker.no_obj_ptr", UNUSED[0])}
    found = identify(replace(file, state={**state, "tracker.new": torch.empty(1, device="meta")}))
    assert found is not None
    assert found.report.missing == ("tracker_model.no_object_pointer", UNUSED[0])
    assert found.report.unexpected == ("tracker.new",)


def test_the_hub_s_file_is_told_and_so_is_a_tracker_alone(tmp_path: Path) -> None:
    both = write_weights(tmp_path / "both.pt", make_detector(), make_tracker())
    for path in (both, write_weights(tmp_path / "tracker.pt")):
        found = identify(read_checkpoint(path, outline=True))
        assert found is not None
        assert (found.network, found.layout, found.report.is_complete) == ("sam3-mini", "hub", True)
