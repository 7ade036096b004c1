"""Groups: given, by position, and from the members' masks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.groups import (
    Group,
    group_by_agreement,
    group_by_object,
    group_neighbours,
    group_none,
    read_group_file,
)
from rvos.errors import InputError
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

SIZE = (40, 60)


def video(*object_ids: str) -> Video:
    expressions = tuple(Expression(str(i), "a thing", (o,) if o else ()) for i, o in enumerate(object_ids))
    return Video("v", ("00000",), expressions, (Path("v/00000.jpg"),))


def boxes(left: int, *, jitter: int = 0, n_frames: int = 3) -> Runs:
    """Return a moving box whose outline differs a little for each `jitter`."""
    masks = np.zeros((n_frames, *SIZE), bool)
    for t in range(n_frames):
        masks[t, 5 + jitter : 25, left + 2 * t : left + 10 + 2 * t] = True
    return Runs.decode(encode(masks), SIZE)


def member(lefts: str | list[int], jitter: int = 0) -> dict[str, Runs]:
    return {str(i): boxes(left, jitter=jitter) for i, left in enumerate(lefts)}


def ids(groups: tuple[Group, ...]) -> list[tuple[str, ...]]:
    return [group.expressions for group in groups]


def test_equal_objects_form_a_group_in_file_order() -> None:
    assert ids(group_by_object(video("2", "1", "2"))) == [("0", "2"), ("1",)]


def test_missing_object_ids_are_named() -> None:
    with pytest.raises(InputError, match="v/1: the data has no object id"):
        group_by_object(video("2", ""))


def test_sentences_without_target_are_groups_of_their_own() -> None:
    known = video("1", "", "1", "").expressions
    marked = tuple(replace(e, has_target=bool(e.object_ids)) for e in known)
    assert ids(group_by_object(replace(video(), expressions=marked))) == [("0", "2"), ("1",), ("3",)]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_neighbours_are_pairs_with_the_rest_last(n: int) -> None:
    groups = ids(group_neighbours(video(*"1" * n)))
    assert [len(group) for group in groups] == [2] * (n // 2) + [1] * (n % 2)
    assert [expression for group in groups for expression in group] == [str(i) for i in range(n)]


def test_none_leaves_every_expression_alone() -> None:
    assert ids(group_none(video("1", "1"))) == [("0",), ("1",)]


ODD_ONES = {
    # which of the boxes at 0, 20 and 40 each expression refers to
    "single expression first": [0, 20, 20, 40, 40],
    "two different objects in each pair": [0, 20, 0, 20],
    "pair of two objects": [0, 20],
    "pair of one object": [20, 20],
    "three of one object": [0, 0, 0, 40],
    "one expression": [0],
}


@pytest.mark.parametrize("truth", ODD_ONES.values(), ids=list(ODD_ONES))
def test_agreement_finds_the_odd_one_out(truth: list[int]) -> None:
    members = [member(truth, jitter) for jitter in range(3)]
    expected = [tuple(str(i) for i, left in enumerate(truth) if left == box) for box in dict.fromkeys(truth)]
    groups = group_by_agreement(members, [str(i) for i in range(len(truth))])
    assert ids(groups) == expected
    assert all(0 < group.confidence <= 1 for group in groups)


def test_agreement_withstands_one_member_that_misses_an_expression() -> None:
    members = [member([0, 20, 20, 40, 40]), member([0, 20, 0, 40, 40], 1), member([0, 20, 20, 40, 40], 2)]
    assert ids(group_by_agreement(members, list("01234"))) == [("0",), ("1", "2"), ("3", "4")]


def test_agreement_withstands_one_member_that_sees_a_single_object() -> None:
    members = [member([0, 20, 20]), member([20, 20, 20], 1), member([0, 20, 20], 2)]
    assert ids(group_by_agreement(members, list("012"))) == [("0",), ("1", "2")]


def test_empty_masks_agree_with_nothing() -> None:
    empty = Runs.decode(encode(np.zeros((3, *SIZE), bool)), SIZE)
    assert ids(group_by_agreement([{"0": empty, "1": empty}], ["0", "1"])) == [("0",), ("1",)]


def test_doubtful_pairs_have_low_confidence() -> None:
    sure = group_by_agreement([member([0, 0])], ["0", "1"])[0]
    doubtful = group_by_agreement([member([0, 3])], ["0", "1"])[0]
    assert sure.confidence == 1
    assert doubtful.confidence < 0.2


def test_group_file_is_read_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"v": [["2"], ["0", "1"]], "other": []}))
    assert ids(read_group_file(path, [video("", "", "")])["v"]) == [("2",), ("0", "1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "list, expected"),
        ("{}", "video v is missing"),
        ('{"v": ["0"]}', "must be lists"),
        ('{"v": [["0", "7"], ["1"]]}', "unknown expression 7"),
        ('{"v": [["0"], ["0", "1"]]}', "repeated expression 0"),
        ('{"v": [["0"]]}', "missing expression 1"),
        ('{"v": [[0, "1"]]}', "missing expression 0"),
        ('{"v": [[["0"], "1"]]}', "unknown expression"),
    ],
)
def test_bad_group_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_group_file(path, [video("", "")])


def test_a_missing_group_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json"):
        read_group_file(tmp_path / "none.json", [])
