"""The Python interface: a recipe opened, run, read, voted on and scored without the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b64decode
from importlib import metadata
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_data import write_split
from tqdm import tqdm
from tqdm.notebook import tqdm_notebook

import rvos_fusion as rf
from rvos import plugins
from rvos.errors import ConfigError, FusionError, InputError, StoreError
from rvos_fusion.running.progress import choose_bar

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path: Path) -> rf.OpenedRecipe:
    write_split(tmp_path)
    return rf.open_recipe(tmp_path / "pipeline.yaml")


def test_a_run_is_planned_made_and_reused(recipe: rf.OpenedRecipe) -> None:
    n_videos = len(recipe.videos)
    assert {(row.stored, row.missing) for row in recipe.plan()} == {(0, n_videos)}
    assert {(row.stored, row.missing) for row in recipe.run(quiet=True)} == {(n_videos, 0)}
    assert {(row.stored, row.missing) for row in recipe.plan()} == {(n_videos, 0)}
    assert [row.node for row in recipe.plan()] == recipe.nodes


def test_masks_are_arrays_that_can_be_voted_on_and_scored(recipe: rf.OpenedRecipe) -> None:
    recipe.run(quiet=True)
    video = recipe.videos[0]
    members = [recipe.masks(node, video)["0"] for node in ("a", "b", "c")]
    fused = rf.vote(members, needed=2)
    assert np.array_equal(fused, np.sum(members, axis=0) >= 2)
    truth = recipe.truth(video)
    assert truth.keys() == recipe.sentences(video).keys()
    assert rf.score(truth["0"], truth["0"]) == (100.0, 100.0)
    assert 0 <= rf.score(fused, truth["0"])[0] < 100


def test_the_table_is_that_of_the_command(recipe: rf.OpenedRecipe) -> None:
    recipe.run(quiet=True)
    rows = recipe.table("a", "final")
    assert [(row.node, row.input_of) for row in rows[:2]] == [("a", None), ("final", None)]
    assert all(row.input_of == "final" for row in rows[2:])
    every = [
        rf.score(recipe.masks("a", video)[expression], recipe.truth(video)[expression])
        for video in recipe.videos
        for expression in recipe.sentences(video)
    ]
    assert (rows[0].j, rows[0].f) == pytest.approx(np.mean(every, axis=0))


def test_names_of_rows_may_be_a_list(recipe: rf.OpenedRecipe) -> None:
    recipe.run(quiet=True)
    assert recipe.table(["a", "final"]) == recipe.table("a", "final")


def test_a_recipe_and_a_mask_sequence_say_what_they_are(recipe: rf.OpenedRecipe) -> None:
    recipe.run(quiet=True)
    assert repr(recipe).endswith("pipeline.yaml: 3 videos, 5 nodes; submits final>")
    assert recipe._repr_html_().count("<tr>") == 1 + len(recipe.nodes)
    sequence = recipe.sequences("final", recipe.videos[0])[0]
    n_frames, (height, width) = sequence.n_frames, sequence.size
    assert f"{sequence.video}/0: {n_frames} frames of {width} x {height}, " in repr(sequence)
    assert len(repr(sequence)) < 120
    pictures = re.findall(r"base64,([^\"]+)", sequence._repr_html_())
    first = np.asarray(Image.open(BytesIO(b64decode(pictures[0])))) > 0
    assert np.array_equal(first, sequence.mask(0))
    assert len(pictures) == min(5, n_frames)


def test_the_version_is_that_of_the_package() -> None:
    assert rf.__version__ == metadata.version("rvos-fusion")


def test_settings_and_workspace_win_over_the_file(tmp_path: Path) -> None:
    write_split(tmp_path)
    path = tmp_path / "pipeline.yaml"
    with pytest.raises(ConfigError, match=r"stages\.stage1\.ab\.threshold"):
        rf.open_recipe(path, {"stages.stage1.ab.threshold": "none"})
    rf.open_recipe(path, workspace=tmp_path / "elsewhere").run(quiet=True)
    assert (tmp_path / "elsewhere" / "nodes").is_dir()


def test_wrong_calls_say_what_is_wrong(recipe: rf.OpenedRecipe) -> None:
    video = recipe.videos[0]
    with pytest.raises(StoreError, match="run first"):
        recipe.masks("a", video)
    with pytest.raises(ConfigError, match="no node 'aa'"):
        recipe.masks("aa", video)
    with pytest.raises(InputError, match="nowhere"):
        recipe.masks("a", "nowhere")
    with pytest.raises(FusionError, match=r"shape \(4, 5\)"):
        rf.vote([np.zeros((4, 5), bool)], needed=1)
    for array in (np.full((1, 4, 5), 0.3), np.arange(20).reshape(1, 4, 5)):
        with pytest.raises(FusionError, match=r"a vote: .* are no masks; give booleans"):
            rf.vote([array], needed=1)
        with pytest.raises(InputError, match=r"the masks: .* are no masks; give booleans"):
            rf.score(array, np.zeros((1, 4, 5), bool))
        with pytest.raises(InputError, match=r"the truth: .* are no masks; give booleans"):
            rf.score(np.zeros((1, 4, 5), bool), array)
    with pytest.raises(FusionError, match="2 masks with 1 weight"):
        rf.vote([np.zeros((1, 4, 5), bool)] * 2, needed=1, weights=[1])
    for needed, weights in ((1.5, None), (0, None), (True, None), (1, [0.5, 1]), (1, [0, 1]), (1, [3, -1])):
        with pytest.raises(FusionError, match="votes are whole numbers from 1"):
            rf.vote([np.zeros((1, 4, 5), bool)] * 2, needed=needed, weights=weights)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no frame, so nothing can be scored"):
        rf.score(np.zeros((0, 4, 5), bool), np.zeros((0, 4, 5), bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": np.full((2, 4, 5), 0.6)}, "values from 0.6 to 0.6 are no masks"),
        ({"masks": np.full((2, 4, 5), 2, np.uint8)}, "values from 2 to 2 are no masks"),
        ({"scores": np.array([np.nan, 1], np.float32)}, "scores are not finite"),
        ({"scores": np.array([1, -np.inf], np.float32)}, "scores are not finite"),
        ({"scores": [1.0, 1.0]}, "scores as an array of float32"),
        ({"frames": ["0", "1"]}, "frames as a tuple of names"),
        ({"key_frame": 0.5}, "key frame 0.5 is no index into the 2 frames"),
        ({"key_frame": 2}, "key frame 2 is no index into the 2 frames"),
    ],
)
def test_a_mask_sequence_of_something_else_is_refused(change: dict[str, object], message: str) -> None:
    right: dict[str, object] = {"masks": np.zeros((2, 4, 5), bool), "frames": ("0", "1"), "scores": np.ones(2, "f4")}
    rf.MaskSequence.from_masks(**right, video="v", expression="0")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        rf.MaskSequence.from_masks(**(right | change), video="v", expression="0")  # type: ignore[arg-type]


RECIPES = ["open_recipe", "open_runner", "OpenedRecipe", "PlannedNode", "ScoreRow", "score", "vote"]
ANSWERS = ["Expression", "MaskSequence", "SoftMaps", "Video", "decode", "encode"]
RUNNERS = ["OwnModel", "Runner", "check_sequences"]
DETECTORS = ["Detector", "DetectorSettings", "FrameBoxes", "FrameInstances"]
ENGINES = ["Augmentation", "Engine", "EngineSettings", "FeatureCache", "Forking", "Frame", "Session", "Step"]
LOGGERS = ["LoggedTraining", "Logger"]
FOR_MODELS = [*ANSWERS, *RUNNERS, *DETECTORS, *ENGINES, *LOGGERS]
ERRORS = ["CheckpointError", "ConfigError", "FusionError", "InputError", "PipelineError", "StoreError"]


def test_these_names_are_public_and_no_others() -> None:
    assert sorted(rf.__all__) == sorted([*RECIPES, *FOR_MODELS, *ERRORS])
    assert rf._PLACES.keys() == set(rf.__all__)


def test_the_loader_of_models_knows_which_names_they_may_import() -> None:
    assert set(plugins._PUBLIC) == set(FOR_MODELS)


@pytest.mark.parametrize("name", rf.__all__)
def test_every_public_name_is_there_with_a_description(name: str) -> None:
    assert getattr(rf, name).__doc__
    with pytest.raises(AttributeError, match=f"no attribute '{name}_'"):
        getattr(rf, f"{name}_")


def run_python(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_model_needs_no_torch_for_any_public_name(tmp_path: Path) -> None:
    program = "import sys, rvos_fusion as rf; [getattr(rf, name) for name in rf.__all__]; print('torch' in sys.modules)"
    assert run_python(program, tmp_path).stdout == "False\n"


def test_importing_the_interface_loads_nothing_else(tmp_path: Path) -> None:
    program = "import sys, rvos_fusion; print(sorted(name for name in sys.modules if name.startswith('rvos')))"
    assert run_python(program, tmp_path).stdout == (
        "['rvos_fusion', 'rvos_fusion.commands', 'rvos_fusion.commands.hidden_packages']\n"
    )


@pytest.mark.parametrize("name", ["rvos", "fusion", "propagate", "runners"])
def test_a_package_that_hides_one_of_ours_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('executed')\n")
    result = run_python("import rvos_fusion as rf\nrf.open_recipe", tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"ImportError: {tmp_path / name}/__init__.py: hides our package in "
    )


@pytest.mark.parametrize("name", ["training", "demo", "pipeline", "parity", "kinds", "report", "synthetic"])
def test_a_package_of_any_other_name_does_no_harm(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('executed')\n")
    result = run_python("import rvos_fusion as rf; print([getattr(rf, name) for name in rf.__all__])", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", ["rvos", "fusion", "propagate", "runners"])
def test_a_plain_folder_of_the_name_of_a_package_does_no_harm(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    program = "import rvos_fusion as rf; print([getattr(rf, name) for name in rf.__all__])"
    result = run_python(program, tmp_path, PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")


def test_one_network_runs_on_frames_as_the_documentation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROJECT / "docs" / "python.md").read_text(encoding="utf-8")
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "open_runner" in one)
    assert len(list(filter(str.strip, code.splitlines()))) == 8
    monkeypatch.chdir(PROJECT)
    names: dict[str, Any] = {}
    exec(code, names)
    sequence = rf.open_recipe("pipeline.yaml").truth("1b8b6b56bf")
    assert names["masks"].shape[1:] == next(iter(sequence.values())).shape[1:]
    assert names["masks"].any()
    assert names["scores"].shape == (len(names["frames"]),)


def test_a_runner_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="runner 'sock' is unknown; choose one of soc"):
        rf.open_runner("sock", "nowhere.pth")


def test_a_notebook_gets_the_bar_of_notebooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ipywidgets.py").touch()
    assert choose_bar() is tqdm
    session = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: session))
    monkeypatch.syspath_prepend(tmp_path)
    assert choose_bar() is tqdm_notebook
    session.config.clear()  # a shell in a terminal
    assert choose_bar() is tqdm
