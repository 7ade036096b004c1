"""Which result is meant: lines that are added by several at a time, whatever a killed one leaves between them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import StoreError
from rvos.masks.stored.index import ResultIndex

KEYS = st.tuples(st.sampled_from(["soc", "a,b", "é"]), st.sampled_from(["v", "6031809500", "x y"]))
NAMES = st.text("0123456789abcdef", min_size=1, max_size=16)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.lists(st.dictionaries(KEYS, NAMES), max_size=5))
def test_the_last_line_of_a_result_counts(tmp_path: Path, added: list[dict[tuple[str, str], str]]) -> None:
    path = tmp_path / "current.csv"
    path.unlink(missing_ok=True)
    expected: dict[tuple[str, str], str] = {}
    for names in added:
        ResultIndex(path).add(names)
        expected |= names
        assert ResultIndex(path).read() == expected
    ResultIndex(path).replace(expected)
    assert ResultIndex(path).read() == expected


@pytest.mark.parametrize(
    "left",
    [b"soc", b'soc,"v', b"soc,v,", b"soc,v,0\0", b"soc,v,../../x", b"\xff\xfe", b"soc,v," + b"0" * 2000],
    ids=["half", "open quote", "no name", "zero byte", "path", "no text", "over-long"],
)
def test_what_is_no_whole_line_costs_no_other(tmp_path: Path, left: bytes) -> None:
    index = ResultIndex(tmp_path / "current.csv")
    index.add({("soc", "v"): "1", ("soc", "w"): "2"})
    with index.path.open("ab") as stream:
        stream.write(left)
    assert index.read() == {("soc", "v"): "1", ("soc", "w"): "2"}
    index.add({("soc", "w"): "3"})
    assert index.read() == {("soc", "v"): "1", ("soc", "w"): "3"}


def test_another_file_in_its_place_is_read_anew(tmp_path: Path) -> None:
    index = ResultIndex(tmp_path / "current.csv")
    index.add({("soc", "v"): "1"})
    assert index.read() == {("soc", "v"): "1"}
    index.path.write_text("mutr,v,2\nmutr,w,3\n")
    assert index.read() == {("mutr", "v"): "2", ("mutr", "w"): "3"}
    index.path.unlink()
    assert index.read() == {}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("soc,v,1\n")
    index = ResultIndex(tmp_path / "current.csv")
    index.path.symlink_to("other.csv")
    assert index.read() == {}
    index.add({("soc", "w"): "2"})
    assert index.read() == {("soc", "w"): "2"}
    assert (tmp_path / "other.csv").read_text() == "soc,v,1\n"


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"current\.csv: cannot be written"):
        ResultIndex(tmp_path / "none" / "current.csv").add({("soc", "v"): "1"})


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    index = ResultIndex(tmp_path / "current.csv")
    index.add({("soc", "v"): "1"})
    before = index.path.read_bytes()
    index.add({("soc", "v"): "1"})
    assert index.path.read_bytes() == before
