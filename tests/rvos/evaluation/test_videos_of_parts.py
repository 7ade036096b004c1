"""Long-RVOS and ReasonVOS: every value of the official scorers, also where videos are judged part by part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_folders import write_json, write_png
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.evaluation.protocols.long_rvos import KINDS, take_long
from rvos.formats import Dataset, open_dataset, open_evaluator, score_dataset
from rvos.masks.mask_sequences import MaskSequence

CASES = Path(__file__).parent / "cases"


def read_case(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text())


LONG, REASON = read_case("long_rvos_expected"), read_case("reason_vos_expected")
LONG_VIDEOS = read_case("long_rvos_meta_expressions")["videos"]
REASON_VIDEOS = read_case("reason_vos_meta_expressions")["videos"]
WIDTHS = read_case("widths")
FIGURES = ("J", "F", "J&F", "tIoU", "vIoU")


def unpack(name: str, width: dict[str, int]) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Return masks by video and what follows it in the key."""
    found = {}
    for key, packed in np.load(CASES / f"{name}.npz").items():
        video, _, rest = key.partition("|") if "|" in key else key.partition("/")
        found[video, rest] = np.unpackbits(packed, axis=-1, count=width[video]).astype(bool)
    return found


def write_masks(folder: Path, frames: Any, masks: NDArray[np.bool_], *, without: Any = ()) -> None:
    for frame, mask in zip(frames, masks, strict=True):
        if frame not in without:
            write_png(folder / f"{frame}.png", mask.astype(np.uint8) * 255)


@pytest.fixture
def long_rvos(tmp_path: Path) -> Dataset:
    root, files = tmp_path / "long_rvos", read_case("long_rvos_files")["truth_files"]
    write_json(root / "valid/meta_expressions.json", {"videos": LONG_VIDEOS})
    for (video, name), masks in unpack("long_rvos_truth", WIDTHS["long_rvos"]).items():
        frames = LONG_VIDEOS[video]["frames"]
        absent = set(frames) - set(files[f"{video}/{name}"])
        write_masks(root / f"valid/Annotations/{video}/{name}", frames, masks, without=absent)
    return open_dataset("long-rvos", root, "valid")


@pytest.fixture
def reason_vos(tmp_path: Path) -> Dataset:
    root, frames = tmp_path / "ReasonVOS", read_case("reason_vos_truth_frames")
    write_json(root / "meta_expressions.json", {"videos": REASON_VIDEOS})
    for (video, _), masks in unpack("reason_vos_truth", WIDTHS["reasonvos"]).items():
        write_masks(root / "Annotations" / video, frames[video], masks)
    return open_dataset("reason-vos", root)


def write_long(folder: Path, *, further: Any = ()) -> Path:
    """Write the answers; `further` lists (video, sentence, frame) that are left out too."""
    missing = read_case("long_rvos_files")["prediction_files_missing"]
    for (video, name), masks in unpack("long_rvos_pred", WIDTHS["long_rvos"]).items():
        lacking = {*missing[f"{video}|{name}"], *(frame for *own, frame in further if own == [video, name])}
        if video != LONG["video_without_predictions"]:
            write_masks(folder / video / name, LONG_VIDEOS[video]["frames"], masks, without=lacking)
    return folder


def write_reason(folder: Path, dataset: Dataset, *, without: Any = ()) -> Path:
    for (video, name), masks in unpack("reason_vos_pred", WIDTHS["reasonvos"]).items():
        for frame, mask in zip(dataset.video(video).frames, masks, strict=True):
            if not {(video, name), (video, name, frame)} & set(without):
                write_png(folder / video / name / f"{frame}.png", mask.astype(np.uint8) * 255)
    return folder


@pytest.mark.parametrize("largest", [1 << 26, 5 * 37 * 53], ids=["whole", "part by part"])
def test_long_rvos_equals_the_official_values(
    tmp_path: Path, long_rvos: Dataset, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rvos.evaluation.parts.LARGEST_PART", largest)
    found = score_dataset(long_rvos, write_long(tmp_path / "masks"))
    scores = take_long(found.scores)
    assert len(scores) == len(LONG["per_sentence"])
    for one in scores:
        wanted = LONG["per_sentence"][f"{one.video}|{one.expression}"]
        assert [one.j_mean, one.f_mean, one.t_iou, one.v_iou] == pytest.approx(wanted, abs=1e-9)
        condensed = one.condense()
        assert [condensed.j_mean, condensed.f_mean, condensed.t_iou, condensed.v_iou] == pytest.approx(wanted, abs=1e-9)
    assert [found.figures[name] for name in FIGURES] == pytest.approx([LONG["overall"][n] for n in FIGURES], abs=1e-9)
    for kind in KINDS:
        own = [found.extra[f"{kind} {name}"] for name in FIGURES]
        assert own == pytest.approx([LONG[kind][name] for name in FIGURES], abs=1e-9)
        assert found.figures[f"J&F {kind}"] == found.extra[f"{kind} J&F"]


def test_a_sentence_at_which_the_official_scorer_of_long_rvos_stops_is_named(
    tmp_path: Path, long_rvos: Dataset
) -> None:
    video, name = LONG["first_frame_missing"]["sentence"]
    frame = LONG_VIDEOS[video]["frames"][0]
    found = score_dataset(long_rvos, write_long(tmp_path / "masks", further=[(video, name, frame)]))
    kept = [values for key, values in LONG["per_sentence"].items() if key != f"{video}|{name}"]
    j, f, *_ = (100 * np.mean(kept, axis=0)).tolist()
    (said,) = found.official
    assert said.startswith(f"stops at each of 1 sentence without a mask of its first frame, first {video}/{name},")
    assert f"J {j:.2f}, F {f:.2f}, J&F {(j + f) / 2:.2f}" in said
    assert any(one.startswith(f"{video}/{name}: {frame}") for one in found.missing)


@pytest.mark.parametrize("damaged", [False, True], ids=["complete", "with_missing"])
def test_reason_vos_equals_the_official_values(tmp_path: Path, reason_vos: Dataset, damaged: bool) -> None:
    gone = [tuple(one) for one in REASON["missing"]["prediction_folder"]] if damaged else []
    if damaged:
        for video in REASON["missing"]["truth_folder"]:
            for path in (reason_vos.root / "Annotations" / video).iterdir():
                path.unlink()
        reason_vos = open_dataset("reason-vos", reason_vos.root)
    found = score_dataset(reason_vos, write_reason(tmp_path / "masks", reason_vos, without=gone))
    expected = REASON["with_missing" if damaged else "complete"]
    scored = {f"{one.video}|{one.expression}": (one.j_mean, one.f_mean) for one in found.scores}
    for key, wanted in expected["per_sentence"].items():
        if wanted is not None:
            assert scored[key] == pytest.approx(wanted, abs=1e-9)
    official = {name: 100 * expected["dataset"][name] for name in ("J", "F", "J&F")}
    if not damaged:
        assert [100 * found.figures[name] for name in official] == pytest.approx(list(official.values()), abs=1e-9)
        assert found.official == ()
        return
    (video, name), *_ = gone
    assert scored[f"{video}|{name}"] == (0, 0)
    assert found.missing == (f"{video}/{name}: all 5 frames",)
    (said,) = found.official
    assert ", ".join(f"{figure} {value:.2f}" for figure, value in official.items()) in said
    assert f"{REASON['missing']['truth_folder'][0]}: no mask in Annotations; left out" in found.strays


def test_a_frame_at_which_the_official_scorer_of_reason_vos_stops_is_named(tmp_path: Path, reason_vos: Dataset) -> None:
    case = REASON["one_frame_missing"]
    video, name = case["sentence"]
    masks = write_reason(tmp_path / "masks", reason_vos, without=[(video, name, case["frame"])])
    assert score_dataset(reason_vos, masks).official == (f"stops at {video}/{name}: no mask of frame {case['frame']}",)


@pytest.mark.parametrize("name", ["long_rvos", "reason_vos"])
def test_stored_masks_score_as_their_files(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    width = WIDTHS["long_rvos" if name == "long_rvos" else "reasonvos"]
    masks = unpack(f"{name}_pred", width)
    folder = tmp_path / "masks"
    evaluator = open_evaluator(dataset)
    for video in dataset.videos:
        own = [masks[video.id, one.id] for one in video.expressions]
        for one, mask in zip(video.expressions, own, strict=True):
            write_masks(folder / video.id / one.id, video.frames, mask)
        scores = np.ones(video.n_frames, np.float32)
        named = zip(video.expressions, own, strict=True)
        evaluator.process(
            video,
            [
                MaskSequence.from_masks(m, video=video.id, expression=e.id, frames=video.frames, scores=scores)
                for e, m in named
            ],
        )
    assert evaluator.evaluate().figures == score_dataset(dataset, folder).figures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "long"}, "0001/0: type 'long', expected static, dynamic, hybrid, static[+]dynamic; correct it"),
        ({"type": None}, "0001/0: type None"),
        ({"obj_id": [1, 2]}, r"0001/0: obj_id \[1, 2\], expected one whole number"),
        ({"obj_id": "../1"}, r"0001/0: obj_id '\.\./1', expected one whole number"),
    ],
)
def test_sentences_of_long_rvos_that_cannot_be_used_are_named(
    long_rvos: Dataset, change: dict[str, Any], message: str
) -> None:
    content = {"videos": json.loads(json.dumps(LONG_VIDEOS))}
    content["videos"]["0001"]["expressions"]["0"] |= change
    write_json(long_rvos.root / "valid/meta_expressions.json", content)
    with pytest.raises(InputError, match=message):
        open_dataset("long-rvos", long_rvos.root, "valid")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obj_id": "../x"}, "object id '../x'"),
        ({"exp_text": None}, r"0b9/0: None is no sentence; write one under exp_text"),
        ({"exp_id": 1}, "0b9: object 2 has two sentences of one exp_id; number them"),
    ],
)
def test_sentences_of_reason_vos_that_cannot_be_used_are_named(
    reason_vos: Dataset, change: dict[str, Any], message: str
) -> None:
    content = {"videos": json.loads(json.dumps(REASON_VIDEOS))}
    content["videos"]["0b9"]["expressions"][0] |= change
    write_json(reason_vos.root / "meta_expressions.json", content)
    with pytest.raises(InputError, match=message):
        open_dataset("reason-vos", reason_vos.root)


@pytest.mark.parametrize("format", ["ref-youtube-vos", "mevis", "ref-davis17"])
def test_data_of_long_rvos_are_not_taken_for_others(long_rvos: Dataset, format: str) -> None:
    """Their folders of objects would be read as masks of sentences of the same number."""
    with pytest.raises(InputError, match=f"looks like long-rvos, not {format} .*; write format: long-rvos"):
        open_dataset(format, long_rvos.root, "valid")


@pytest.mark.parametrize("format", ["ref-youtube-vos", "mevis", "ref-davis17", "long-rvos"])
def test_data_of_reason_vos_are_not_taken_for_others(reason_vos: Dataset, format: str) -> None:
    with pytest.raises(InputError, match="a list of expressions, as ReasonVOS has it; write format: reason-vos"):
        open_dataset(format, reason_vos.root, "valid")


def test_data_with_sentences_are_not_those_of_mosev2_nor_without_a_source_of_reason_vos(long_rvos: Dataset) -> None:
    with pytest.raises(InputError, match="there are sentences, and MOSEv2 has none"):
        open_dataset("mosev2", long_rvos.root, "valid")
    with pytest.raises(InputError, match="no source, which every video of ReasonVOS has; check the format"):
        open_dataset("reason-vos", long_rvos.root / "valid")


def test_reason_vos_has_one_split(reason_vos: Dataset) -> None:
    with pytest.raises(ConfigError, match="it has no split valid; say split: test"):
        open_dataset("reason-vos", reason_vos.root, "valid")


def write_little(root: Path, shown: tuple[int, ...]) -> Dataset:
    """Write a video of four frames whose object is there in some of them."""
    frames = [f"{place:05d}" for place in range(4)]
    expressions = {"0": {"exp": "it", "obj_id": 1, "type": "static"}}
    write_json(root / "valid/meta_expressions.json", {"videos": {"v": {"frames": frames, "expressions": expressions}}})
    for place in shown:
        write_png(root / f"valid/Annotations/v/1/{frames[place]}.png", MASK)
    return open_dataset("long-rvos", root, "valid")


MASK = np.pad(np.full((5, 5), 255, np.uint8), 6)


def test_a_missing_frame_of_long_rvos_is_an_empty_one(tmp_path: Path) -> None:
    dataset = write_little(tmp_path / "data", (0, 1))
    for frame in ("00000", "00001"):
        write_png(tmp_path / "masks/v/0" / f"{frame}.png", MASK)
    found = score_dataset(dataset, tmp_path / "masks")
    assert (found.j, found.f, found.figures["tIoU"], found.figures["vIoU"]) == (1, 1, 1, 1)
    assert found.missing == ("v/0: 00002, 00003",)
    assert found.official == ()


def test_an_object_that_is_absent_from_a_part_is_not_wondered_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_little(tmp_path / "data", (3,))
    for place in range(4):
        write_png(tmp_path / "masks/v/0" / f"{place:05d}.png", MASK * (place == 3))
    monkeypatch.setattr("rvos.evaluation.parts.LARGEST_PART", MASK.size)
    found = score_dataset(dataset, tmp_path / "masks")
    assert (found.j, found.figures["vIoU"], found.notes) == (1, 1, ())
