"""Readers give what the files say, in file order, and one clear error for files that cannot be used."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, SIZE, index_map, listed, write_json, write_png, write_ref_youtube_vos
from pycocotools import mask as coco

from rvos.errors import ConfigError, InputError
from rvos.formats import open_dataset
from rvos.formats.reading.truth import RunLengthTruth
from rvos.masks.index_maps import merge_by_annotator
from rvos.videos import Expression, Video

TWO = {"b": listed({"0": "1", "1": "2"}), "a": listed({"10": "2", "2": "1", "1": "2"}, FRAMES[:2])}


def test_videos_and_expressions_keep_the_order_of_the_file(tmp_path: Path) -> None:
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path, TWO), "valid")
    assert [video.id for video in dataset.videos] == ["b", "a"]
    assert [expression.id for expression in dataset.video("a").expressions] == ["10", "2", "1"]
    assert dataset.video("a").frames == ("00000", "00005")
    assert dataset.video("b").expressions[1].object_ids == ("2",)
    assert dataset.n_expressions == 5
    assert dataset.read_size(dataset.video("a")) == SIZE


def test_valid_leaves_out_the_videos_of_test(tmp_path: Path) -> None:
    write_ref_youtube_vos(tmp_path, TWO)
    write_json(tmp_path / "meta_expressions/test/meta_expressions.json", {"videos": {"b": TWO["b"]}})
    assert [video.id for video in open_dataset("ref-youtube-vos", tmp_path, "valid").videos] == ["a"]
    assert [video.id for video in open_dataset("ref-youtube-vos", tmp_path, "test").videos] == ["b"]


def test_valid_with_only_test_videos_is_refused(tmp_path: Path) -> None:
    write_ref_youtube_vos(tmp_path, TWO)
    write_json(tmp_path / "meta_expressions/test/meta_expressions.json", {"videos": TWO})
    with pytest.raises(InputError, match="only videos of test"):
        open_dataset("ref-youtube-vos", tmp_path, "valid")


@pytest.mark.parametrize("packed", [None, "", "truth/2026"], ids=["folder", "archive", "archive below folders"])
def test_index_maps_give_the_masks_of_an_expression(tmp_path: Path, packed: str | None) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", TWO)
    if packed is not None:
        with zipfile.ZipFile(tmp_path / "truth.zip", "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, packed / path.relative_to(root))
        root = tmp_path / "truth.zip"
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    video = dataset.video("b")
    truth = dataset.read_truth(video)
    expected = np.stack([index_map(step) == 2 for step in range(3)])
    assert np.array_equal(truth.masks(video.expressions[1]), expected)
    assert truth.void is None
    assert np.array_equal(dataset.read_truth(video, [2]).masks(video.expressions[1]), expected[2:])


def test_annotations_may_be_an_archive_beside_the_images(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, TWO)
    folder = root / "valid" / "Annotations"
    with zipfile.ZipFile(root / "valid" / "Annotations.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, Path("Annotations") / path.relative_to(folder))
            path.unlink()
    for path in folder.iterdir():
        path.rmdir()
    folder.rmdir()
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    video = dataset.video("a")
    assert dataset.read_truth(video).masks(video.expressions[0]).sum() == 2 * 70


def test_masks_by_expression_need_no_object_ids(tmp_path: Path) -> None:
    videos = {"v": listed({"0": None})}
    write_ref_youtube_vos(tmp_path, videos, annotated=False)
    for step, frame in enumerate(FRAMES):
        write_png(tmp_path / "valid/Annotations/v/0" / f"{frame}.png", (index_map(step) == 1).astype(np.uint8) * 255)
    dataset = open_dataset("ref-youtube-vos", tmp_path, "valid")
    masks = dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[0])
    assert np.array_equal(masks, np.stack([index_map(step) == 1 for step in range(3)]))


def test_an_absent_object_has_empty_masks(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, {"v": listed({"0": "7"})})
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    assert not dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[0]).any()


def test_without_object_ids_there_is_no_ground_truth(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, {"v": listed({"0": None})})
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    with pytest.raises(InputError, match="no ground truth"):
        dataset.read_truth(dataset.videos[0])


@pytest.mark.parametrize(("object_id", "message"), [(None, "v: expression 1: no obj_id"), ("left", "object 'left'")])
def test_expressions_without_a_usable_object_are_named(tmp_path: Path, object_id: str | None, message: str) -> None:
    root = write_ref_youtube_vos(tmp_path, {"v": listed({"0": "1", "1": object_id})})
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    with pytest.raises(InputError, match=message):
        dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[1])


def test_an_expression_file_alone_is_a_data_set(tmp_path: Path) -> None:
    write_json(tmp_path / "meta_expressions/test/meta_expressions.json", {"videos": TWO})
    dataset = open_dataset("ref-youtube-vos", tmp_path, "test")
    assert dataset.image_folder is None
    assert dataset.read_size(dataset.videos[0]) is None


def test_categories_come_from_the_object_file(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, TWO, split="train")
    write_json(root / "train/meta.json", {"videos": {"b": {"objects": {"1": {"category": "cat", "frames": []}}}}})
    assert open_dataset("ref-youtube-vos", root, "train").categories == {("b", "1"): "cat"}


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "", ".hidden", "a\x00"])
@pytest.mark.parametrize("place", ["video", "expression", "frame"])
def test_unsafe_ids_are_refused(tmp_path: Path, place: str, name: str) -> None:
    video = {"expressions": {"0": {"exp": "x"}}, "frames": ["00000"]}
    videos = {"v": video}
    if place == "video":
        videos = {name: video}
    elif place == "expression":
        video["expressions"] = {name: {"exp": "x"}}
    else:
        video["frames"] = [name]
    write_json(tmp_path / "meta_expressions/valid/meta_expressions.json", {"videos": videos})
    with pytest.raises(InputError, match=rf"meta_expressions\.json.*{place} id"):
        open_dataset("ref-youtube-vos", tmp_path, "valid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"videos": {"v": {},\n"v": {}}}', r"json:2: 'v' is given twice"),
        (
            '{"videos": {"v": {"frames": ["0"], "expressions": {"0": {"exp": "x"},\n\n"0": {"exp": "y"}}}}}',
            r"json:3: '0'",
        ),
        ('{"videos":\n{"v": }', r"json:2: not JSON"),
        ("", r"json:1: not JSON"),
        ("[]", "instead of an object"),
        ('{"videos": []}', "instead of an object"),
        ('{"videos": {"v": {"expressions": {}, "frames": "00000"}}}', "instead of a list"),
        ('{"videos": {"v": {"expressions": {}, "frames": [5]}}}', "5 is not text"),
        ('{"videos": {"v": {"expressions": {}, "frames": []}}}', "empty list"),
        ('{"videos": {"v": {"expressions": {}, "frames": ["0", "0"]}}}', "frame 0 is listed twice"),
        ('{"videos": {"v": {"expressions": {"0": {}}, "frames": ["0"]}}}', "no sentence"),
        ('{"videos": {"v": {"expressions": {"0": {"exp": "x", "obj_id": 1.5}}, "frames": ["0"]}}}', "object id 1.5"),
    ],
)
def test_expression_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "meta_expressions/valid/meta_expressions.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        open_dataset("ref-youtube-vos", tmp_path, "valid")


def test_missing_folders_and_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_dataset("ref-youtube-vos", tmp_path / "missing", "valid")
    with pytest.raises(InputError, match="no expression file of split valid"):
        open_dataset("ref-youtube-vos", tmp_path, "valid")
    with pytest.raises(ConfigError, match="choose from ref-youtube-vos, ref-davis17, mevis"):
        open_dataset("youtube", tmp_path, "valid")


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "size", "colour"])
def test_damaged_annotations_are_named(tmp_path: Path, damage: str) -> None:
    root = write_ref_youtube_vos(tmp_path, TWO)
    path = root / "valid/Annotations/b/00005.png"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:70])
    elif damage == "text":
        path.write_text("no image")
    elif damage == "size":
        write_png(path, np.zeros((5, 5), np.uint8))
    else:
        write_png(path, np.full((*SIZE, 3), (9, 0, 0), np.uint8))
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    with pytest.raises(InputError, match=r"00005\.png"):
        dataset.read_truth(dataset.video("b"))


def test_archives_with_unsafe_names_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "truth.zip", "w") as archive:
        archive.writestr("../outside.png", b"")
    with pytest.raises(InputError, match="unsafe name"):
        open_dataset("ref-youtube-vos", tmp_path / "truth.zip", "valid")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="not a whole zip archive"):
        open_dataset("ref-youtube-vos", tmp_path / "broken.zip", "valid")


def rle_of(mask: np.ndarray) -> dict[str, object]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def write_mevis(root: Path, *, masks: bool = True) -> Path:
    first, second = (rle_of(index_map(0) == value) for value in (1, 2))
    expressions = {
        "0": {"exp": "one", "obj_id": [0], "anno_id": [4]},
        "1": {"exp": "both", "obj_id": [0, 1], "anno_id": [4, 5]},
        "2": {"exp": "nothing", "obj_id": [], "anno_id": []},
    }
    content = {"videos": {"v": {"expressions": expressions, "frames": ["00000", "00001"], "vid_id": 3}}}
    write_json(root / "valid_u/meta_expressions.json", content)
    if masks:
        write_json(root / "valid_u/mask_dict.json", {"4": [first, None], "5": [second, second]})
    return root


def test_mevis_targets_are_unions_of_annotations(tmp_path: Path) -> None:
    dataset = open_dataset("mevis", write_mevis(tmp_path), "valid_u")
    video = dataset.video("v")
    assert video.expressions[1].object_ids == ("4", "5")
    truth = dataset.read_truth(video)
    assert truth.masks(video.expressions[0]).sum(axis=(1, 2)).tolist() == [42, 0]
    assert truth.masks(video.expressions[1]).sum(axis=(1, 2)).tolist() == [112, 70]
    assert not truth.masks(video.expressions[2]).any()
    assert dataset.read_truth(video, [1]).masks(video.expressions[1]).shape == (1, *SIZE)


def test_mevis_split_folder_itself_may_be_given(tmp_path: Path) -> None:
    dataset = open_dataset("mevis", write_mevis(tmp_path) / "valid_u", "valid_u")
    assert dataset.read_truth(dataset.videos[0]).size == SIZE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"4": [None]}, "annotation 4 has 1 frame, expected 2"),
        ({"4": [{"size": [24, 32], "counts": "zz"}, None]}, "run lengths"),
        ({"4": [{"size": [24, 32], "counts": [1, 2]}, None]}, "do not cover"),
        ({"4": [{"size": [24, 32], "counts": 9}, None]}, "no `counts`"),
        ({"5": [{"size": [9, 9], "counts": "a"}, None]}, r"size \[9, 9\], expected"),
        ({"5": "x"}, "instead of a list"),
    ],
    ids=str,
)
def test_mevis_masks_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write_mevis(tmp_path) / "valid_u/mask_dict.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    dataset = open_dataset("mevis", tmp_path, "valid_u")
    with pytest.raises(InputError, match=message):
        dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[1])


def test_plain_run_lengths_are_read_too(tmp_path: Path) -> None:
    path = write_mevis(tmp_path) / "valid_u/mask_dict.json"
    plain = {"size": list(SIZE), "counts": [10, 5, SIZE[0] * SIZE[1] - 15]}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"4": [plain, None]}))
    dataset = open_dataset("mevis", tmp_path, "valid_u")
    masks = dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[0])
    assert np.flatnonzero(masks[0].T.ravel()).tolist() == [10, 11, 12, 13, 14]


def write_ref_davis(root: Path, *, object_ids: bool) -> Path:
    expressions = {str(name): "1" if name < 4 else "2" for name in range(8)}
    video = listed(expressions if object_ids else dict.fromkeys(expressions))
    write_json(root / "meta_expressions/valid/meta_expressions.json", {"videos": {"dog": video}})
    for step, frame in enumerate(FRAMES):
        values = index_map(step)
        values[0, 0] = 255
        write_png(root / "DAVIS/Annotations_unsupervised/480p/dog" / f"{frame}.png", values, mode="P")
    return root


@pytest.mark.parametrize("object_ids", [True, False])
def test_davis_void_is_known_and_objects_follow_the_expression_ids(tmp_path: Path, object_ids: bool) -> None:
    dataset = open_dataset("ref-davis17", write_ref_davis(tmp_path, object_ids=object_ids), "valid")
    video = dataset.videos[0]
    assert [expression.object_ids[0] for expression in video.expressions] == ["1"] * 4 + ["2"] * 4
    truth = dataset.read_truth(video)
    assert truth.masks(video.expressions[5]).sum() == 3 * 70
    assert truth.void is not None
    assert truth.void.sum() == 3


def test_davis_as_it_is_distributed_needs_no_conversion(tmp_path: Path) -> None:
    for video in ("dogs-scale", "train-only"):
        for frame in ("00000", "00001"):
            write_png(tmp_path / f"DAVIS/Annotations_unsupervised/480p/{video}/{frame}.png", index_map(0), mode="P")
    lists = tmp_path / "DAVIS/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("dogs-scale\n")
    for name, text in (("1", "a dög"), ("1_full_video", "first"), ("2", "a d\xf6g"), ("2_full_video", "last")):
        content = f'dog-scale 2 "{text} two"\ndog-scale 1 "{text} one"\n\ntrain-only 1 "x"\n'
        encoding = "utf-8" if name.startswith("1") else "latin-1"
        (tmp_path / f"Davis17_annot{name}.txt").write_bytes(content.encode(encoding))
    dataset = open_dataset("ref-davis17", tmp_path, "valid")
    (video,) = dataset.videos
    assert (video.id, video.frames) == ("dogs-scale", ("00000", "00001"))
    assert [(e.id, e.text, e.object_ids) for e in video.expressions][:5] == [
        ("0", "a dög one", ("1",)),
        ("1", "first one", ("1",)),
        ("2", "a dög one", ("1",)),
        ("3", "last one", ("1",)),
        ("4", "a dög two", ("2",)),
    ]
    assert dataset.read_truth(video).masks(video.expressions[4]).sum() == 2 * 70


def test_broken_lines_of_text_files_are_named(tmp_path: Path) -> None:
    write_png(tmp_path / "Annotations_unsupervised/480p/dog/00000.png", index_map(0), mode="P")
    for name in ("1", "1_full_video", "2", "2_full_video"):
        (tmp_path / f"Davis17_annot{name}.txt").write_text('dog 1 "x"\ndog one "y"\n')
    with pytest.raises(InputError, match=r"Davis17_annot1\.txt:2: expected <video> <object>"):
        open_dataset("ref-davis17", tmp_path, "valid")


def test_a_sequence_that_is_listed_twice_is_named(tmp_path: Path) -> None:
    write_png(tmp_path / "DAVIS/Annotations_unsupervised/480p/dog/00000.png", index_map(0), mode="P")
    (tmp_path / "DAVIS/ImageSets/2017").mkdir(parents=True)
    (tmp_path / "DAVIS/ImageSets/2017/val.txt").write_text("dog\ndog\n")
    with pytest.raises(InputError, match="split valid lists video dog twice"):
        open_dataset("ref-davis17", tmp_path, "valid")


@pytest.mark.parametrize("name", ["0", "256", "9" * 30, "9" * 5000, "\u0661", "dog", ""])
def test_an_object_that_no_index_map_can_hold_is_named_before_maps_are_merged(name: str) -> None:
    expressions = (Expression("0", "a dog", ("1",)), Expression("1", "it", (name,) if name else ()))
    masks = np.zeros((1, *SIZE), np.float32)
    with pytest.raises(InputError, match=r"^v: expression 1: object '.* is no index from 1 to 255"):
        merge_by_annotator(Video("v", ("00000",), expressions, (Path("0.png"),)), {"0": masks, "1": masks})


def test_only_an_empty_list_of_annotations_says_that_there_is_no_target() -> None:
    truth = RunLengthTruth({}, 2, (3, 4), "mask_dict.json: v")
    assert not truth.masks(Expression("0", "nothing", has_target=False)).any()
    with pytest.raises(InputError, match="v: expression 0: no anno_id, so its mask is unknown"):
        truth.masks(Expression("0", "the ball"))
