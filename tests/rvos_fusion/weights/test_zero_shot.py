"""Recipes without training in an empty folder: fetched, then run on a clip and a data set, with tiny networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from sam2_weights import make_network
from sam3_toolkit.checkpoints import list_entries
from sam3_weights import make_detector, make_tracker, write_vocabulary
from small_data import write_split
from small_dino import write_grounding_dino

from rvos.masks.stored.store import Store
from rvos_fusion.clips.overlays import write_video
from rvos_fusion.commands.cli import main

PROJECT = Path(__file__).parents[3]
RECIPE = "recipes/zero_shot.yaml"
DINO = ("config.json", "preprocessor_config.json", "vocab.txt", "model.safetensors")


def write_networks(folder: Path) -> dict[str, bytes]:
    """Return the files of a hub whose networks are tiny, by repository and name."""
    write_grounding_dino(folder / "dino")
    sam2, sam3 = folder / "sam2", write_vocabulary(folder / "sam3")
    sam2.mkdir()
    save_file(
        {name: value.contiguous() for name, value in make_network().model.state_dict().items()},
        sam2 / "model.safetensors",
    )
    parts = list_entries(make_tracker()) | list_entries(make_detector())
    save_file({name: value.clone().contiguous() for name, value in parts.items()}, sam3 / "model.safetensors")
    for place, kind in ((sam2, "sam2_video"), (sam3, "sam3_video")):
        (place / "config.json").write_text(json.dumps({"model_type": kind}))
    repositories = {
        "IDEA-Research/grounding-dino-tiny": [folder / "dino" / name for name in DINO],
        "facebook/sam2.1-hiera-tiny": list(sam2.iterdir()),
        "facebook/sam3": list(sam3.iterdir()),
    }
    return {f"{name}/{path.name}": path.read_bytes() for name, paths in repositories.items() for path in paths}


@pytest.fixture
def clip(hub: Any, tmp_path: Path) -> Path:
    """A clip in an empty folder with the recipes, whose networks are as small as the hub's."""
    (tmp_path / "made").mkdir()
    hub.files = write_networks(tmp_path / "made")
    shutil.rmtree(tmp_path / "made")
    (tmp_path / "recipes").mkdir()
    for name in ("zero_shot", "mevis_concepts"):
        text = (PROJECT / f"recipes/{name}.yaml").read_text()
        text = text.replace("network: sam2.1-hiera-tiny,", "network: sam2.1-mini, image_size: 64,")
        text = text.replace("network: sam3,", "network: sam3-mini, image_size: 56,")
        text = text.replace("detector: sam3,", "detector: sam3, network: sam3-mini, image_size: 56,")
        text = text.replace("detector: grounding-dino,", "detector: grounding-dino, box_threshold: 0,")
        (tmp_path / f"recipes/{name}.yaml").write_text(text)
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    write_video(tmp_path / "clip.mp4", frames, frames_per_second=6)
    return Path("clip.mp4")


def segment(clip: Path, *words: str) -> int:
    return main(["segment", str(clip), "the cat", "a man", "--quiet", "--device", "cpu", *words])


def test_a_clip_is_segmented_without_a_word_about_recipes(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", RECIPE]) == 0
    capsys.readouterr()
    assert segment(clip) == 0
    told = capsys.readouterr()
    assert f"note: recipe {RECIPE}, which needs no training" in told.err
    folder = Path("runs/segment/clip")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("masks/**/*.png")) == [
        f"masks/{sentence}/{frame:05d}.png" for sentence in ("0", "1") for frame in range(3)
    ]
    for sequence in Store(folder / "workspace").read("carried", "clip"):
        assert sequence.masks().any()
    assert "knows" not in told.err


def test_the_bundled_recipe_reads_weights_of_the_current_folder(
    hub: Any, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As with an installed wheel: no recipe lies here.
    shutil.rmtree("recipes")
    assert main(["fetch-weights", RECIPE]) == 0
    assert Path("weights/sam2.1-hiera-tiny/model.safetensors").is_file()
    capsys.readouterr()
    small = ["engines.sam2.network=sam2.1-mini", "engines.sam2.image_size=64", "detectors.dino.box_threshold=0"]
    assert segment(clip, *(word for one in small for word in ("--set", one))) == 0
    assert f"note: recipe {PROJECT / RECIPE}, which needs no training" in capsys.readouterr().err


@pytest.mark.parametrize("lost", [None, "weights/grounding-dino-tiny/model.safetensors", "weights/sam2.1-hiera-tiny"])
def test_without_all_weights_the_demo_answers_and_says_so(
    clip: Path, capsys: pytest.CaptureFixture[str], lost: str | None
) -> None:
    if lost is not None:
        assert main(["fetch-weights", RECIPE]) == 0
        Path(lost).unlink() if Path(lost).is_file() else shutil.rmtree(lost)
    capsys.readouterr()
    # A node that the demo has and the other recipe has not, the smallest one.
    assert segment(clip, "--node", "uninext") == 0
    told = capsys.readouterr().err
    missing = Path.cwd() / (lost or "weights/sam2.1-hiera-tiny")
    assert f"note: recipe {PROJECT / 'pipeline.yaml'}, as there is no {missing}" in told
    assert f"rvos fetch-weights {RECIPE} brings it" in told


def test_a_whole_data_set_runs_with_the_same_recipe(clip: Path, tmp_path: Path) -> None:
    write_split(tmp_path, 1)
    assert main(["fetch-weights", RECIPE]) == 0
    words = ["--set", f"dataset.root={tmp_path / 'data'}", "--quiet", "--device", "cpu"]
    assert main(["run", RECIPE, *words]) == 0
    assert {one.expression for one in Store(Path("runs/zero_shot")).read("carried", "video0")} >= {"0", "1"}


def test_concepts_run_too(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path, 1)
    assert main(["fetch-weights", "recipes/mevis_concepts.yaml"]) == 0
    assert "sam3: SAM License; name SAM 3, facebookresearch/sam3" in capsys.readouterr().out
    words = ["--set", f"dataset={{format: ref-youtube-vos, root: {tmp_path / 'data'}, split: valid}}"]
    assert main(["run", "recipes/mevis_concepts.yaml", *words, "--quiet", "--device", "cpu"]) == 0
    assert all(one.presence is not None for one in Store(Path("runs/mevis_concepts")).read("present", "video0"))
    assert main(["licences", "recipes/mevis_concepts.yaml", *words]) == 0
    assert capsys.readouterr().out.count("SAM License") == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "engines.sam2={network: sam3-mini, checkpoint: weights/sam2.1-hiera-tiny, image_size: 56}",
            "sam2.1-hiera-tiny: holds a model of type 'sam2_video', expected 'sam3_video'; give SAM 3",
        ),
        (
            "engines.sam2={network: sam2.1-mini, checkpoint: weights/sam3, image_size: 64}",
            "sam3: holds a model of type 'sam3_video', expected 'sam2_video'; give SAM 2",
        ),
        (
            "detectors.dino={detector: sam3, network: sam3-mini, tokenizer: weights/sam3, checkpoint: "
            "weights/sam2.1-hiera-tiny, image_size: 56}",
            "sam2.1-hiera-tiny: holds a model of type 'sam2_video', expected 'sam3_video'; give SAM 3",
        ),
        ("detectors.dino={detector: grounding-dino, checkpoint: weights/sam3}", "sam3: no preprocessor_config.json"),
    ],
    ids=["2 as 3", "3 as 2", "2 as detector", "3 as Grounding DINO"],
)
def test_files_of_another_network_are_one_line(
    clip: Path, capsys: pytest.CaptureFixture[str], change: str, told: str
) -> None:
    assert main(["fetch-weights", RECIPE, "recipes/mevis_concepts.yaml"]) == 0
    capsys.readouterr()
    assert segment(clip, "--recipe", RECIPE, "--set", change) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_what_was_fetched_is_told_by_its_folder(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", RECIPE, "recipes/mevis_concepts.yaml"]) == 0
    capsys.readouterr()
    assert main(["checkpoint", "weights/sam3", "weights/sam2.1-hiera-tiny"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "loads whole" in line]
    assert [line.partition(",")[0] for line in lines] == [
        "weights/sam3: sam3-mini",
        "weights/sam2.1-hiera-tiny: sam2.1-mini",
    ]
    assert main(["checkpoint", "recipes"]) == 2
    assert "recipes: not a checkpoint but a folder" in capsys.readouterr().err


def test_a_checkpoint_that_was_cut_is_one_line(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", RECIPE]) == 0
    path = Path("weights/sam2.1-hiera-tiny/model.safetensors")
    path.write_bytes(path.read_bytes()[:5000])
    capsys.readouterr()
    assert segment(clip) == 2
    error = capsys.readouterr().err
    assert f"{Path.cwd() / path}: " in error
    assert "Traceback" not in error
    assert main(["fetch-weights", RECIPE]) == 2
    assert "delete the folder and fetch it again" in capsys.readouterr().err


def test_a_gated_file_ends_the_fetch_with_how_to_get_it(
    hub: Any, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuses = 403
    assert main(["fetch-weights", "recipes/mevis_concepts.yaml"]) == 2
    told = capsys.readouterr().err
    assert f"accept it at {hub.address}/facebook/sam3, then run `hf auth login` or set HF_TOKEN" in told
    assert told.count("\n") == 1
