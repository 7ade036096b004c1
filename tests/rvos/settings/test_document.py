"""YAML text that anybody may have written becomes a tree with lines, or one message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvos.errors import ConfigError
from rvos.settings.document import read_document
from rvos.settings.nodes import Listing, Section, Text, wrap
from rvos.settings.problems import Place


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "settings.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_values_stay_text_and_know_their_lines(tmp_path: Path) -> None:
    root = read_document(write(tmp_path, "a: 1e-3\nb:\n  - on\n  - 'null'\n"), what="recipe")
    assert isinstance(root, Section)
    a, b = root.find("a"), root.find("b")
    assert isinstance(a, Text)
    assert isinstance(b, Listing)
    assert (a.text, a.place.line) == ("1e-3", 1)
    assert [(item.text, item.place.line, item.is_null) for item in b.items if isinstance(item, Text)] == [
        ("on", 3, False),
        ("null", 4, False),
    ]


def test_an_empty_file_is_named_unless_set_fills_it(tmp_path: Path) -> None:
    path = write(tmp_path, "# nothing\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml: recipe is empty"):
        read_document(path, what="recipe")
    root = read_document(path, ["a=1"], what="recipe")
    assert isinstance(root, Section)
    assert root.words() == ("a",)


@pytest.mark.parametrize(
    ("override", "keys"),
    [
        ("a.b=2", ("a", "b")),
        ("new.deep.key=2", ("new", "deep", "key")),
        ("list.1.path=2", ("list", 1, "path")),
        ("list.0=2", ("list", 0)),
    ],
)
def test_set_reaches_mappings_and_items_of_lists(tmp_path: Path, override: str, keys: tuple[str | int, ...]) -> None:
    path = write(tmp_path, "a: {b: 1}\nlist: [x, {path: y}]\n")
    node = read_document(path, [override], what="recipe")
    for key in keys:
        if isinstance(node, Listing):
            node = node.items[int(key)]
        else:
            assert isinstance(node, Section)
            found = node.find(str(key))
            assert found is not None
            node = found
    assert isinstance(node, Text)
    assert (node.text, node.place.source, node.place.line) == ("2", f"--set {override}", 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("list.2=x", r"list has the items 0 to 1, not '2'"),
        ("list.first=x", r"list has the items 0 to 1, not 'first'"),
        ("a.b.c=x", r"a\.b is no mapping"),
        ("a", "expected key=value"),
        ("a..b=1", "expected key=value"),
        ("a=[", "not YAML"),
        ("a=" + "[" * 500, "deep"),
        (".".join("a" * 100) + "=1", "deep"),
        ("a=!!python/object:os.system x", "tag"),
    ],
    ids=["beyond", "no index", "no mapping", "no value", "no key", "no yaml", "deep value", "deep key", "tag"],
)
def test_a_set_that_cannot_be_done_is_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--set .*{message}"):
        read_document(write(tmp_path, "a: {b: 1}\nlist: [x, y]\n"), [override], what="recipe")


LAUGHS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" if i else "a0: &a0 [x]" for i in range(30))

HOSTILE = {
    "zero in quotes": ('a: "\\0"', r":1: '\\x00' holds a zero"),
    "half a character": ('b: 1\na: "\\uD800"', r":2: '\\ud800' holds"),
    "no such character": ('a: "\\U99999999"', "not YAML"),
    "zero byte": (b"a: \0", "not YAML"),
    "not utf-8": (b"a: \xff\xfe", "not UTF-8"),
    "utf-16": ("a: 1".encode("utf-16"), "not UTF-8"),
    "laughs": (LAUGHS, r":\d: more than \d+ values, aliases unfolded"),
    "alias inside itself": ("a: &a [*a]", r":1: no value is marked &a before it"),
    "unknown alias": ("a: *b", r":1: no value is marked &b"),
    "deep list": ("a: " + "[" * 5000, "deep"),
    "deep mapping": ("a: " + "{a: " * 5000, "deep"),
    "deep blocks": ("- " * 5000, "deep"),
    "binary": ("a: !!binary aGk=", r":1: the tag 'tag:yaml.org,2002:binary' is not read"),
    "timestamp": ("a: !!timestamp x", "tag"),
    "object": ("a: !!python/object/apply:os.system [ls]", "tag"),
    "own tag": ("a: !x {}", "tag"),
    "two documents": ("a: 1\n---\nb: 2\n", r":2: a second document"),
    "large": ("# " + "x" * 300_000, "300002 bytes, at most 200000 are read"),
    "version": (f"%YAML 1.{'9' * 9000}\n---\na: 1", "not YAML"),
    "tab": ("a:\n\tb: 1", r":2: not YAML"),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_refused_in_one_short_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_document(write(tmp_path, content), what="recipe")
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    text.encode()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop", Path("/dev/zero"), tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match=r"not a file|cannot be read"):
            read_document(path, what="recipe")


@settings(deadline=None)
@given(st.text() | st.text(alphabet="abc:-?[]{}&*!|>'\"%@`#,~ \n\t\\x0u", max_size=200))
def test_any_text_gives_a_tree_or_one_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))
    try:
        read_document(path, [f"a.b={text}"], what="recipe")
    except ConfigError as error:
        str(error).encode()


def test_plain_values_nested_too_deeply_are_refused() -> None:
    value: object = 1
    for _ in range(10_000):
        value = [value]
    with pytest.raises(ConfigError, match="deep"):
        wrap(value, Place("x.json"))
