"""Hours and memory before anything has run: by hand from a row of the table, and beside what earlier runs took."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import deaot_toolkit
import pytest
import torch
from small_data import write_split

from propagate.engines.aot.settings import AotSettings
from propagate.engines.sam2.settings import Sam2Settings
from propagate.passes import EXPRESSIONS_AT_ONCE
from runners import mutr, referformer
from runners.base import ModelSettings
from runners.networks.uninext.config import UninextConfig
from runners.soc import SOCOptions
from runners.test_time import TestTime
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.networks import operations
from rvos_fusion.kinds.networks.operations import Clip, Operations, find_operations, foresee_engine, foresee_runner
from rvos_fusion.planning import foresight
from rvos_fusion.planning.foresight import measure_rate
from rvos_fusion.running import doctor

NOWHERE = Path("nowhere")
WIDE = (480.0, 854.0)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "aott": Operations(WIDE, 5.0, 7.0, 2.0, parameters=10, working=100, memory=3.0, share=0.5),
        "sam2.1-hiera-tiny": Operations(None, 11.0, 3.0, 0.0, parameters=40, working=50),
        "soc video_swin_b": Operations((360, 640), 4.0, 1.0, 0.0, parameters=100, working=10, clip=20.0),
        "soc small": Operations((96, 168), 0.1, 0.1, 0.0, parameters=1, working=1),
    }
    monkeypatch.setattr(operations, "TABLE", rows)


def test_an_engine_reads_frames_once_and_answers_for_every_sentence() -> None:
    effort = foresee_engine(AotSettings("aott", NOWHERE), Clip(30, 2, WIDE))
    assert effort is not None
    # Every fifth frame is remembered, and in the mean a third of the video lies behind.
    assert effort.multiply_adds == pytest.approx(30 * (5 + 2 * 7) + 30 * 2 * (2 * 30 / 15))
    assert effort.megabytes == pytest.approx(4 * 10 + 100 + 2 * 3 * (1 + 30 // 5))


def test_scales_and_mirrored_passes_add_up_by_their_pixels() -> None:
    engine = AotSettings("aott", NOWHERE, scales=(1.0, 0.5), flip=True, max_memory_frames=1)
    effort = foresee_engine(engine, Clip(30, 1, WIDE))
    assert effort is not None
    assert effort.multiply_adds == pytest.approx(2 * 1.25 * 30 * 12)


def test_long_edges_are_brought_within_the_engine_s_limit() -> None:
    large, limited = (
        foresee_engine(AotSettings("aott", NOWHERE, max_memory_frames=1, long_edge=edge), Clip(1, 1, (960, 1708)))
        for edge in (None, 854)
    )
    assert large is not None
    assert limited is not None
    assert large.multiply_adds == pytest.approx(4 * limited.multiply_adds)


def test_a_bounded_memory_and_more_sentences_than_go_together_hold_no_more() -> None:
    clip = Clip(1000, 50, WIDE)
    free, bounded = (foresee_engine(AotSettings("aott", NOWHERE, max_memory_frames=most), clip) for most in (None, 10))
    assert free is not None
    assert bounded is not None
    assert free.megabytes == pytest.approx(140 + 8 * 3 * 201)
    assert bounded.megabytes == pytest.approx(140 + 8 * 3 * 10)


def test_a_network_of_one_input_size_does_not_care_for_the_frame_s() -> None:
    efforts = [foresee_engine(Sam2Settings("sam2-hiera-tiny", NOWHERE), Clip(4, 1, size)) for size in (WIDE, (90, 90))]
    assert efforts[0] is not None
    assert efforts[0] == efforts[1]
    assert efforts[0].multiply_adds == pytest.approx(4 * 14)


def test_a_runner_sees_resized_frames_in_every_view_and_holds_a_window() -> None:
    model = ModelSettings("soc", NOWHERE, backbone="video-swin-b")
    clip = Clip(40, 3, (720, 1280))
    once, twice = (foresee_runner(replace(model, test_time=one), clip) for one in (None, TestTime(flip=True)))
    windows = foresee_runner(replace(model, window=5), clip)
    assert once is not None
    assert twice is not None
    assert windows is not None
    assert once.multiply_adds == pytest.approx(40 * (4 + 3 * 1))
    assert twice.multiply_adds == pytest.approx(2 * once.multiply_adds)
    assert (once.megabytes, windows.megabytes) == (pytest.approx(410 + 40 * 20), pytest.approx(410 + 5 * 20))


@pytest.mark.parametrize(("megabytes", "found"), [(3, 1), (390, 1), (400, 100), (900, 100)])
def test_without_a_backbone_the_largest_network_counts_that_the_file_has_room_for(
    tmp_path: Path, megabytes: int, found: int
) -> None:
    with (tmp_path / "soc.pth").open("wb") as file:
        file.truncate(megabytes * 10**6)
    effort = foresee_runner(ModelSettings("soc", tmp_path / "soc.pth"), Clip(1, 1, (360, 640)))
    named = {100: 4 * 100 + 10 + 20, 1: 4 + (360 * 640) / (96 * 168)}
    assert effort is not None
    assert effort.megabytes == pytest.approx(named[found])


def test_without_a_backbone_and_a_file_nothing_is_known() -> None:
    assert foresee_runner(ModelSettings("soc", NOWHERE), Clip(1, 1, (360, 640))) is None


@pytest.mark.parametrize("name", ["soc video-swin-b", "soc video_swin_b_p4w7", "SAM2-hiera-tiny"])
def test_spellings_of_one_network_find_one_row(name: str) -> None:
    assert find_operations(name) is not None


@pytest.mark.parametrize("name", ["soc None", "own:engine", "r50-aotl"])
def test_what_is_not_in_the_table_is_unknown(name: str) -> None:
    assert find_operations(name) is None


def test_the_table_goes_by_the_sides_and_gaps_of_the_code() -> None:
    released = UninextConfig()
    assert operations.AT_ONCE == EXPRESSIONS_AT_ONCE
    assert deaot_toolkit.find_config("swinl-deaotl").long_term_gap == operations.LONG_TERM_GAP
    assert {
        "soc": (SOCOptions().short_side, SOCOptions().long_side),
        "mutr": (mutr._SHORT_SIDE, None),
        "referformer": (referformer._SHORT_SIDE, None),
        "uninext": (None, released.long_side),
    } == operations.SIDES


def test_the_rate_is_that_of_a_product() -> None:
    assert 0 < measure_rate() < 1e9


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    torch.manual_seed(0)
    deaot_toolkit.save(deaot_toolkit.build("aott"), tmp_path / "aott.safetensors")
    (tmp_path / "recipe.yaml").write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: ws\n"
        "models:\n  a: {import: png, path: members/a}\n"
        "engines:\n  aot: {network: aott, checkpoint: aott.safetensors}\n"
        "stages:\n  stage1:\n    carried: {propagate: a, engine: aot}\n"
    )
    monkeypatch.setattr(foresight, "measure_rate", lambda: 40.0)
    return "recipe.yaml"


def test_a_plan_foresees_what_never_ran_and_then_goes_by_what_it_took(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", recipe, "--json"]) == 0
    nodes = {node["node"]: node for node in json.loads(capsys.readouterr().out)["nodes"]}
    carried = nodes["carried"]
    assert carried["multiply_adds"] > 0
    assert carried["seconds"] == pytest.approx(carried["multiply_adds"] / (0.5 * 40.0))
    assert nodes["a"]["seconds"] is None
    assert main(["plan", recipe, "--gpu-rate", "0.001"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^carried .* ~\d+ s ", shown, re.MULTILINE)
    assert "~ never ran here: " in shown
    assert "a large product makes 40 G a second here, on all cores; at 0.001 G a second of a GPU " in shown
    assert main(["plan", recipe]) == 0
    assert "of a GPU" not in capsys.readouterr().out, "less than a second is not worth a word"
    (Path("ws")).mkdir()
    Path("ws/timings.csv").write_text("carried,video0,10,20.0,x\n")
    assert main(["plan", recipe, "--json"]) == 0
    carried = next(node for node in json.loads(capsys.readouterr().out)["nodes"] if node["node"] == "carried")
    assert carried["multiply_adds"] is None
    assert carried["seconds"] > 0


def test_a_gpu_that_computes_nothing_is_refused(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe, "--gpu-rate", "0"]) == 2
    assert "--gpu-rate 0; give more than 0" in capsys.readouterr().err


def test_the_doctor_compares_memory_with_the_machine_s(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", recipe]) == 0
    assert re.search(
        r"^ok +memory: carried needs about 40\.\d MB in float32 for ", capsys.readouterr().out, re.MULTILINE
    )
    monkeypatch.setattr(doctor, "count_memory", lambda: 10**7)
    assert main(["doctor", recipe]) == 0
    assert re.search(r"^note +memory: [\s\S]*`max_memory_frames`", capsys.readouterr().out, re.MULTILINE)
