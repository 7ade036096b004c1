"""Damaged archives and JSON files give one clear error, whatever the damage."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import pytest
from data_folders import listed, write_predictions, write_ref_youtube_vos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import InputError
from rvos.files.json_files import parse_json
from rvos.formats import open_dataset, score_dataset
from rvos.formats.submissions import check_submission
from rvos.imports import open_source

QUICK = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VIDEOS = {"v": listed({"0": "1"}, ("00000",))}


def damage(data: st.DataObject, content: bytes) -> bytes:
    """Cut the content, or change up to three bytes."""
    changed = bytearray(content)
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(0, len(changed)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and an archive of perfect masks."""
    root = tmp_path_factory.mktemp("files")
    write_ref_youtube_vos(root / "data", VIDEOS)
    masks = write_predictions(root / "masks", VIDEOS)
    with zipfile.ZipFile(root / "masks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(masks / "v/0/00000.png", "Annotations/v/0/00000.png")
    return root


@QUICK
@given(st.data())
def test_archives(files: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged.zip"
    path.write_bytes(damage(data, (files / "masks.zip").read_bytes()))
    dataset = open_dataset("ref-youtube-vos", files / "data", "valid")
    for use in (score_dataset, lambda dataset, path: check_submission(path, dataset)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                use(dataset, path)
            except InputError as error:
                message = str(error)
            else:
                message = "damaged.zip"
        assert "damaged.zip" in message


@QUICK
@given(st.data())
def test_expression_files(files: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "meta_expressions/valid/meta_expressions.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damage(data, json.dumps({"videos": VIDEOS}, indent=1).encode()))
    try:
        open_dataset("ref-youtube-vos", tmp_path, "valid")
    except InputError as error:
        message = str(error)
    else:
        message = "meta_expressions.json"
    assert "meta_expressions.json" in message


@QUICK
@given(st.data())
def test_run_lengths(files: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = {"v": {"0": {"masks": [{"size": [24, 32], "counts": [10, 5, 753]}], "scores": [0.5], "key_frame": 0}}}
    path = tmp_path / "masks.json"
    path.write_bytes(damage(data, json.dumps(content).encode()))
    dataset = open_dataset("ref-youtube-vos", files / "data", "valid")
    try:
        open_source("rle", path).read(dataset.videos[0])
    except InputError as error:
        message = str(error)
    else:
        message = "masks.json"
    assert "masks.json" in message


@QUICK
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda t: st.lists(t) | st.dictionaries(st.text(), t)
    )
)
def test_any_json_value_is_no_traceback(tmp_path: Path, value: object) -> None:
    path = tmp_path / "meta_expressions.json"
    path.write_text(json.dumps({"videos": {"v": {"frames": value, "expressions": value}}}))
    with pytest.raises(InputError, match=r"meta_expressions\.json"):
        open_dataset("mevis", tmp_path, "valid")


@QUICK
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_one_error(content: bytes) -> None:
    try:
        parse_json(content, where="file.json")
    except InputError as error:
        message = str(error)
    else:
        message = "file.json"
    assert message.startswith("file.json")
