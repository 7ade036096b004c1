"""No content whatever ends in anything but a value or an InputError that names the file."""

from __future__ import annotations

import copy
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_folders import listed, write_json, write_ref_youtube_vos
from hostile_files import large_png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import InputError
from rvos.evaluation.coco_results import read_results
from rvos.files.images import decode_frame
from rvos.files.tensor_files import read_torch_file
from rvos.files.trees import open_data, open_masks
from rvos.formats import Dataset, open_dataset
from rvos.formats.a2d_sentences import A2DSource
from rvos.formats.jhmdb_sentences import JhmdbSource
from rvos.formats.submissions import check_submission
from rvos.imports import open_source
from rvos.masks.mask_images import decode_index_map
from rvos.videos import Video

QUICK = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VIDEOS = {"v": listed({"0": "1"}, ("00000", "00005"))}
RLE = {"size": [24, 32], "counts": [10, 5, 753]}
RUN_LENGTHS = {"v": {"0": {"masks": [RLE, None], "scores": [0.5, 1], "key_frame": 0}}}
META = {"videos": {"v": {"objects": {"1": {"category": "dog", "frames": ["00000"]}}}}}
NUMBERS = [-1, 2**31, 2**40, 2**62, 2**63, 10**30, 10**400, 1e308, -0.5, float("inf"), float("nan"), 200_000]
TEXTS = ["", ".", "..", "a/b", "\0", "\ud800", "x" * 300, "ü" * 130, "../../x", "C:", "9" * 5000, "\u202e", "\n"]
# Builders, marks and stores of a pickle, indices and lengths of gigabytes, and names that torch files use or must not.
OPCODES = [
    *(bytes([code]) for code in b"(}])tusaeRbQ02\x85\x86\x87"),
    *(b"q\0", b"h\0", b"r\xff\xff\xff\x0f", b"j\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f"),
    *(b"\x8e" + b"\xff" * 7 + b"\x7f", b"X\x03\0\0\0abc", b"K\1", b"cos\nsystem\n"),
    *(b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"cnumpy\ndtype\n"),
    *(b"cnumpy.core.multiarray\nscalar\n", b"ccollections\nOrderedDict\n", b"c_codecs\nencode\n"),
]
STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from([[], {}, [[]], {"": []}, [1, 2], [24, 32, 1], [2**31, 2**31], [10**30, 1], ["x"] * 3]),
    st.integers(1, 300).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)


def list_places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the keys that lead to every part of a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, child in children for found in list_places(child, (*place, key)))]


@st.composite
def spoilt(draw: st.DrawFn, content: Any) -> Any:
    """JSON of the right form but for one part, or one key, which may be anything."""
    changed = copy.deepcopy(content)
    place = draw(st.sampled_from(list_places(changed)))
    if not place:
        return draw(STRANGE)
    owner = changed
    for key in place[:-1]:
        owner = owner[key]
    if isinstance(owner, dict) and draw(st.booleans()):
        owner[draw(st.sampled_from(TEXTS))] = owner.pop(place[-1])
    else:
        owner[place[-1]] = draw(STRANGE)
    return changed


def is_met(use: Callable[[], object], name: str) -> bool:
    """Use a reader; an InputError that names the file is as right as no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of Pillow about bombs
        try:
            use()
        except InputError as error:
            return name in str(error) and "\n" not in str(error)
    return True


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ref_youtube_vos(tmp_path_factory.mktemp("data"), VIDEOS)


@pytest.fixture(scope="module", params=["images", "no images"])
def dataset(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    if request.param == "images":
        return open_dataset("ref-youtube-vos", data, "valid")
    root = tmp_path_factory.mktemp("bare")
    write_json(root / "meta_expressions/valid/meta_expressions.json", {"videos": VIDEOS})
    return open_dataset("ref-youtube-vos", root, "valid")


@QUICK
@given(spoilt({"videos": VIDEOS}), st.sampled_from(["ref-youtube-vos", "mevis", "ref-davis17"]))
def test_expression_files(tmp_path: Path, content: Any, form: str) -> None:
    write_json(tmp_path / "meta_expressions/valid/meta_expressions.json", content)

    def use() -> None:
        dataset = open_dataset(form, tmp_path, "valid")
        for video in dataset.videos:
            dataset.read_size(video)

    assert is_met(use, "meta_expressions.json")


@QUICK
@given(spoilt(META))
def test_categories(tmp_path: Path, content: Any) -> None:
    write_ref_youtube_vos(tmp_path, VIDEOS)
    write_json(tmp_path / "valid/meta.json", content)
    assert is_met(lambda: open_dataset("ref-youtube-vos", tmp_path, "valid"), "meta.json")


@QUICK
@given(spoilt(RUN_LENGTHS))
def test_run_lengths(tmp_path: Path, dataset: Dataset, content: Any) -> None:
    path = write_json(tmp_path / "masks.json", content)
    assert is_met(lambda: open_source("rle", path).read(dataset.videos[0]), "masks.json")


@QUICK
@given(st.data())
def test_archives_of_arrays(tmp_path: Path, dataset: Dataset, data: st.DataObject) -> None:
    """Any shape and type that a header may state, any rest, under names that are known and others."""
    path = tmp_path / "masks" / "v" / "0.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = data.draw(st.lists(st.sampled_from(["probabilities", "logits", "masks", "scores", "x"]), max_size=3))
    kinds = st.sampled_from(["<f4", "<f2", "|b1", "|O", "<U9", ">f4", "<c8", "<i8"])
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name in names:
            shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 24, 32, 2**31, 2**62]), max_size=4)))
            header = (
                f"{{'descr': '{data.draw(kinds)}', 'fortran_order': {data.draw(st.booleans())}, 'shape': {shape}, }}"
            )
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            archive.writestr(f"{name}.npy", start + data.draw(st.binary(max_size=40)))
    assert is_met(lambda: open_source("npz", tmp_path / "masks").read(dataset.videos[0]), "0.npz")


@pytest.mark.parametrize(
    ("name", "header", "content"),
    [
        ("probabilities", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, True, 4), }", bytes(64)),
        ("probabilities", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -4, 4), }", bytes(64)),
        ("frames", "{'descr': '<U1', 'fortran_order': False, 'shape': (2,), }", b"\xff" * 8),
        ("frames", "{'descr': '<U0', 'fortran_order': False, 'shape': (2,), }", b""),
        ("scores", "(" * 4000, b""),
        ("scores", f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(2**63, 0) * 35}, }}", b""),
    ],
    ids=["a truth value as side", "a negative side", "no code points", "text without letters", "no end", "70 sides"],
)
def test_an_array_that_no_program_writes_is_one_line(
    tmp_path: Path, dataset: Dataset, name: str, header: str, content: bytes
) -> None:
    path = tmp_path / "masks" / "v" / "0.npz"
    path.parent.mkdir(parents=True)
    whole = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 24, 32), }"
    arrays = {"probabilities": (whole, bytes(4 * 2 * 24 * 32)), name: (header, content)}
    with zipfile.ZipFile(path, "w") as archive:
        for array, (start, rest) in arrays.items():
            archive.writestr(
                f"{array}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(start)) + start.encode() + rest
            )
    with warnings.catch_warnings(action="error"), pytest.raises(InputError, match=r"0\.npz") as refused:
        open_source("npz", tmp_path / "masks").read(dataset.videos[0])
    assert "\n" not in str(refused.value)


@QUICK
@given(spoilt({"1": [RLE, None]}))
def test_mask_dictionaries(tmp_path: Path, content: Any) -> None:
    expressions = {"0": {"exp": "a thing", "anno_id": [1]}}
    videos = {"v": {"expressions": expressions, "frames": ["00000", "00005"]}}
    write_json(tmp_path / "meta_expressions.json", {"videos": videos})
    write_json(tmp_path / "mask_dict.json", content)

    def use() -> None:
        dataset = open_dataset("mevis", tmp_path, "valid")
        dataset.read_truth(dataset.videos[0]).masks(dataset.videos[0].expressions[0])

    assert is_met(use, "mask_dict.json")


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(min_size=5, max_size=5))
def test_png_headers(height: int, width: int, rest: bytes) -> None:
    """Any size, depth, colour and method, with the right checksum."""
    content = bytearray(large_png(1, 1))
    content[16:29] = struct.pack(">II", width, height) + rest
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    for read in (decode_index_map, decode_frame):
        assert is_met(lambda read=read: read(bytes(content), where="m.png"), "m.png")


@QUICK
@given(st.data())
def test_archives_of_any_names(tmp_path: Path, data: st.DataObject) -> None:
    part = st.sampled_from(["Annotations", "v", "0", "00000.png", "__MACOSX", "._v", "..", "", "a\\b", "x" * 300, "ü"])
    names = data.draw(st.lists(st.lists(part, min_size=1, max_size=4).map("/".join).filter(bool), max_size=5))
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name in names:
            archive.writestr(name, data.draw(st.sampled_from([b"", b"x", large_png(24, 32)])))
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path / "data", VIDEOS), "valid")
    assert is_met(lambda: check_submission(tmp_path / "m.zip", dataset), "m.zip")
    assert is_met(lambda: open_masks(tmp_path / "m.zip").children(), "m.zip")
    assert is_met(lambda: open_data(tmp_path / "m.zip").children(), "m.zip")


@QUICK
@given(st.lists(st.one_of(st.binary(max_size=6), st.sampled_from(OPCODES)), max_size=25))
def test_pickles_of_any_opcodes(tmp_path: Path, opcodes: list[bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "d.pth", "w") as archive:
        archive.writestr("d/data.pkl", b"\x80\x02" + b"".join(opcodes) + b".")
    assert is_met(lambda: read_torch_file(tmp_path / "d.pth"), "d.pth")
    (tmp_path / "old.pth").write_bytes(b"\x80\x02" + b"".join(opcodes) + b".")
    assert is_met(lambda: read_torch_file(tmp_path / "old.pth"), "old.pth")


A2D_ROWS = [["a ball", "clip", 1, 3], ["the box", "clip", 1, 5]]
JHMDB_ROWS = [["clip", "jhmdb/a/00002.png", "jhmdb/b.mat", 7, "the ball"]]


@QUICK
@given(spoilt(A2D_ROWS))
def test_lists_of_a2d(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "a2d_sentences_single_frame_test_annotations.json", content)
    assert is_met(lambda: open_dataset("a2d-sentences", tmp_path, "test"), str(tmp_path))


@QUICK
@given(spoilt(JHMDB_ROWS))
def test_lists_of_jhmdb(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "jhmdb_sentences_samples_metadata.json", content)
    assert is_met(lambda: open_dataset("jhmdb-sentences", tmp_path, "test"), "jhmdb_sentences_samples_metadata.json")


@QUICK
@given(
    spoilt([{"image_id": "v/0", "category_id": 1, "segmentation": RLE | {"counts": "\\5l0"}, "score": 0.5}]),
)
def test_results_in_the_form_of_coco(tmp_path: Path, content: Any) -> None:
    path = write_json(tmp_path / "results.json", content)
    assert is_met(lambda: read_results(path), "results.json")


@QUICK
@given(st.binary(max_size=300), st.sampled_from(["mat", "h5", "mp4"]))
def test_files_of_masks_and_clips(tmp_path: Path, content: bytes, kind: str) -> None:
    heads = {
        "mat": b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM",
        "h5": b"\x89HDF\r\n\x1a\n",
        "mp4": b"\0\0\0\x18ftypisom",
    }
    path = tmp_path / f"file.{kind}"
    path.write_bytes(heads[kind] + content)
    video = Video("v", ("1",), (), (path,), (0,))
    uses = {
        "mat": lambda: JhmdbSource(path, 1, video).read(),
        "h5": lambda: A2DSource(path, video).read(),
        "mp4": lambda: video.read_frame(0),
    }
    assert is_met(uses[kind], path.name)
