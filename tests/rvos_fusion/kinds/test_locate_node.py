"""Members without training: what a detector finds of a sentence becomes its mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_results import SENTENCES, VIDEO, write_case
from numpy.typing import NDArray
from report_pages import read_index, read_part
from stored_results import find_report

from rvos.masks.mask_sequences import MaskSequence, decode, encode
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

RECIPE = """
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs/located
groups: {by: none}
nouns: {synonyms: {object: thing}}
engines:
  sam2: {network: sam2.1-mini, checkpoint: sam2.pt, image_size: 64}
  aot: {network: small-aot, checkpoint: PROJECT/demo/checkpoints/aot.safetensors}
detectors:
  found: {detector: import, path: categories.json}
  concepts: {detector: sam3, network: sam3-mini, checkpoint: sam3.pt, tokenizer: clip, image_size: 56}
  dino: {detector: grounding-dino, checkpoint: dino, box_threshold: 0.0}
stages:
  stage1:
    located: {locate: found, phrase: noun, frames: 2}
    carried: {propagate: located, engine: aot}
submission: {node: carried}
"""
PROJECT = Path(__file__).parents[3]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_case(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "located.yaml"
    path.write_text(RECIPE.replace("PROJECT", str(PROJECT)))
    return path


def list_frames() -> list[str]:
    return json.loads(Path("data/meta_expressions/valid/meta_expressions.json").read_text())["videos"][VIDEO]["frames"]


def write_found(*rows: tuple[int, str, float, NDArray[np.bool_]]) -> None:
    """Write what was found: frame, category, score and mask of each instance."""
    frames = list_frames()
    names = sorted({name for _, name, _, _ in rows})
    content = {
        "images": [{"id": place, "file_name": f"{VIDEO}/{frame}.jpg"} for place, frame in enumerate(frames)],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
        "annotations": [
            {
                "image_id": frame,
                "category_id": names.index(name),
                "score": score,
                "segmentation": {"size": list(mask.shape), "counts": encode(mask[None])[0].decode()},
            }
            for frame, name, score, mask in rows
        ],
    }
    Path("categories.json").write_text(json.dumps(content))


def run(recipe: Path, *settings: str) -> int:
    return main(
        ["run", str(recipe), "--quiet", "--device", "cpu", *(word for one in settings for word in ("--set", one))]
    )


def read(name: str) -> dict[str, MaskSequence]:
    return {one.expression: one for one in Store(Path("runs/located")).read(name, VIDEO)}


def square(size: tuple[int, int], left: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[10:30, left : left + 20] = True
    return mask


def find_size() -> tuple[int, int]:
    from PIL import Image

    with Image.open(f"data/valid/JPEGImages/{VIDEO}/{list_frames()[0]}.jpg") as picture:
        return picture.height, picture.width


def test_the_surest_instance_of_the_looked_at_frames_is_mask_and_key_frame(recipe: Path) -> None:
    size, last = find_size(), len(list_frames()) - 1
    write_found(
        (0, "triangle", 0.6, square(size, 0)),
        (last, "triangle", 0.8, square(size, 40)),
        (last, "triangle", 0.7, square(size, 80)),
        (1, "triangle", 0.9, square(size, 20)),  # nobody looks there
        (0, "cross", 0.5, square(size, 100)),
    )
    assert run(recipe) == 0
    located = read("located")
    assert set(located) == set(SENTENCES)
    triangle = located["0"]
    np.testing.assert_allclose(triangle.scores, [0.6, *[0] * (last - 1), 0.8])
    assert triangle.key_frame == last
    masks = decode(triangle.runs, size)
    np.testing.assert_array_equal(masks[last], square(size, 40))
    assert not masks[:last].any()
    assert located["6"].key_frame == 0
    # A sentence whose noun is found nowhere has no mask, and no score.
    assert not decode(located["2"].runs, size).any()
    assert not located["2"].scores.any()
    carried = read("carried")
    assert decode(carried["0"].runs, size).any(axis=(1, 2)).sum() > 1
    report = json.loads(find_report(Path("runs/located"), "located", VIDEO).read_text())
    assert report["content"]["sentences"][0]["asked"] == ["triangle"]


def test_a_box_becomes_a_mask_by_the_engine(recipe: Path) -> None:
    write_found((0, "triangle", 0.5, square(find_size(), 0)))
    assert run(recipe, "stages.stage1.located={locate: dino, engine: sam2, frames: 1}") == 0
    size = find_size()
    for sequence in read("located").values():
        masks = decode(sequence.runs, size)
        assert sequence.key_frame == (len(list_frames()) - 1) // 2
        assert masks[sequence.key_frame].any()
        assert masks.any(axis=(1, 2)).sum() == 1
        assert (sequence.scores > 0).sum() == 1


PRESENT = [
    "stages.stage1.located={locate: concepts, frames: 2}",
    "stages.stage1.masklets={masklets: concepts, engine: aot, detect_frames: 2, max_instances: 2}",
    "stages.stage1.refined={refine: carried, masklets: masklets}",
    "stages.stage1.gated={gate: refined, members: [carried, refined], features: [concept], threshold: 0.5}",
]


def test_presence_is_stored_with_what_was_found_and_goes_along(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, *PRESENT) == 0
    located, carried, refined, gated = (read(name) for name in ("located", "carried", "refined", "gated"))
    for name, sequence in located.items():
        assert sequence.presence is not None
        assert np.isfinite(sequence.presence).tolist() == [True, False, False, True]
        np.testing.assert_array_equal(carried[name].presence, sequence.presence)
        # That of the noun, in the frames that the masklets' detector sees.
        assert np.isfinite(refined[name].presence).tolist() == [True, False, True, False]
        concept = (sequence.highest_presence + refined[name].highest_presence) / 2
        assert gated[name].runs == refined[name].runs if concept >= 0.5 else not gated[name].masks().any()
    assert main(["export", "refined", "--workspace", "runs/located", "--out", "out", "--presence"]) == 0
    exported = json.loads(Path("out/presence.json").read_text())[VIDEO]
    frames = list_frames()
    known = {frames[at]: pytest.approx(float(refined["0"].presence[at]), abs=1e-6) for at in (0, 2)}
    assert exported["0"] == known
    words = [word for one in PRESENT for word in ("--set", one)]
    assert main(["report", str(recipe), "--quiet", "--no-sweeps", "--out", "page.html", *words]) == 0
    places = {node["name"]: place for place, node in enumerate(read_index(Path("page.html"))["nodes"])}
    shown = read_part(Path("page.html"), 0)["sequences"][places["refined"]][0]["presence"]
    assert [value is not None for value in shown] == [True, False, True, False]


def test_without_a_detector_that_says_it_presence_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_found((0, "triangle", 0.5, square(find_size(), 0)))
    gate = "stages.stage1.gated={gate: carried, members: [carried, located], features: [concept], threshold: 0.5}"
    assert run(recipe, gate) == 2
    assert "feature concept: no member says whether a frame shows" in capsys.readouterr().err
    assert not Path("runs/located/nodes").exists()
    assert run(recipe) == 0
    assert main(["export", "located", "--workspace", "runs/located", "--out", "out", "--presence"]) == 2
    assert "no detector says for located whether frames show" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("located", "told"),
    [
        ("{locate: dino}", "detector dino gives boxes alone; name under 'engine'"),
        ("{locate: found, engine: aot, phrase: noun}", "engine aot starts from masks; name a SAM 2 or SAM 3 engine"),
        ("{locate: found}", "detector found knows categories, no sentences; set phrase: noun"),
        ("{locate: found, phrase: word}", "phrase"),
        ("{locate: nobody, phrase: noun}", "nobody"),
    ],
)
def test_what_cannot_work_is_told_before_anything_runs(
    recipe: Path, capsys: pytest.CaptureFixture[str], located: str, told: str
) -> None:
    write_found((0, "triangle", 0.5, square(find_size(), 0)))
    assert run(recipe, f"stages.stage1.located={located}") == 2
    assert told in capsys.readouterr().err
    assert not Path("runs/located/located").exists()
