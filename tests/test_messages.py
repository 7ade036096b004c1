"""What the product says is right for one as for many: `1 video has`, and `a whole number` where Python says int."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvos.errors import InputError, explain
from rvos.files.video_files import read_video
from rvos.settings import name_type

ROOT = Path(__file__).parents[1]
PACKAGES = ("rvos", "fusion", "propagate", "runners", "rvos_fusion", "third_party")
PLURAL = re.compile(r" (?!of |x |is |has |was |does )(?:[a-z]+ )?[a-z]+(?<!s)s\b(?<! is)(?<! as)(?<! has)(?<! was)")
ARTICLE = re.compile(r"\ban? $")


def find_forms(code: str) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each message whose words fit one count alone, or one kind of value alone."""
    for text in ast.walk(ast.parse(code)):
        if not isinstance(text, ast.JoinedStr):
            continue
        for before, after in zip([None, *text.values], [*text.values, None], strict=True):
            if _is_number(before) and PLURAL.match(_words(after)):
                yield text.lineno, f"a number before{_words(after)[:30]!r}: say it with `count`"
            if ARTICLE.search(_words(before)) and _names_type(after):
                yield text.lineno, "an article before the name of a class: say it with `name_type`"


def _words(part: ast.expr | None) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else ""


def _is_number(part: ast.expr | None) -> bool:
    if not isinstance(part, ast.FormattedValue):
        return False
    value = part.value.left if isinstance(part.value, ast.BinOp) else part.value
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("len", "sum")
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name.lstrip("_").startswith("n_")


def _names_type(part: ast.expr | None) -> bool:
    return part is not None and any(isinstance(one, ast.Attribute) and one.attr == "__name__" for one in ast.walk(part))


def test_no_message_fits_one_count_or_one_kind_alone() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {reason}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "tests" not in path.relative_to(ROOT).parts
        for line, reason in find_forms(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'f"{len(videos)} videos have none"',
        'f"{path}: {len(lines) - 3} more lines"',
        'f"{self._n_frames} frames"',
        'f"{sum(counts)} stored " f"results"',
        'f"{where}: a {type(value).__name__}, expected"',
        'f"{where} is an {kind.__name__}"',
    ],
)
def test_forms_for_many_alone_are_found(code: str) -> None:
    assert len(list(find_forms(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "f\"{count(len(videos), 'video has', 'videos have')} none\"",
        'f"{len(missing)} of the names"',
        'f"{len(found)} is what was found"',
        'f"{len(names)} missing: {names}"',
        'f"{where}: {name_type(value)}, expected a list"',
        'f"{reason} frames"',
    ],
)
def test_forms_for_one_and_many_pass(code: str) -> None:
    assert list(find_forms(code)) == []


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "nothing"),
        (True, "true or false"),
        (3, "a whole number"),
        (0.5, "a number"),
        ("x", "a text"),
        ((1,), "a list"),
        ({}, "a mapping"),
        (b"", "an object of class bytes"),
    ],
)
def test_kinds_of_values_are_named_as_a_person_says_them(value: object, name: str) -> None:
    assert name_type(value) == name


def test_errors_of_the_system_do_not_tell_the_file_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "x").read_bytes()
    assert explain(missing.value) == "No such file or directory"
    assert explain(ValueError("two\n lines")) == "two lines"
    assert explain(MemoryError()) == "MemoryError"


def test_a_file_that_is_no_video_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(InputError) as refused:
        list(read_video(tmp_path / "clip.mp4"))
    assert str(refused.value).count("clip.mp4") == 1
