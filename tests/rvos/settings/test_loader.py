"""Settings become frozen dataclasses by their annotations; every problem is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvos.errors import ConfigError
from rvos.settings import (
    INVALID,
    Ascending,
    ByName,
    Flat,
    Folder,
    Given,
    Key,
    Line,
    Loader,
    Named,
    OneOf,
    Problems,
    Range,
    Section,
    SettingsTree,
    json_schema,
    load,
    read_document,
)


@dataclass(frozen=True, slots=True)
class Inner:
    depths: tuple[int, ...] = (1, 2)
    heads: Annotated[int, Range(least=1)] = 1
    line: Annotated[int, Line()] = 0


@dataclass(frozen=True, slots=True)
class Other:
    blocks: tuple[int, ...] = (3,)


@dataclass(frozen=True, slots=True)
class Part:
    value: Fraction

    @classmethod
    def parse(cls, text: str) -> Part:
        if text == "never":
            raise ConfigError("never is not possible")
        return cls(Fraction(text))


@dataclass(frozen=True, slots=True)
class Outer:
    source: Annotated[str, Key("from")]
    kind: Literal["a", "b"] = "a"
    width: int = 4
    rate: Annotated[float, Range(above=0)] = 1.0
    flag: bool = False
    file: Path | None = None
    inner: Inner | Other | None = None
    pair: Annotated[tuple[float, float], Ascending()] = (0.0, 1.0)
    part: Part | None = None
    weight: Fraction = Fraction(1)
    auto: Literal["auto"] | int = "auto"
    free: str | int | float | bool = ""
    named: Mapping[str, Fraction] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.width > 1000:
            raise ValueError(f"width {self.width} is more than 1000")


def read(folder: Path, text: str, *overrides: str) -> Outer:
    path = folder / "outer.yaml"
    path.write_text(text)
    return load(Outer, read_document(path, overrides, what="settings"), where=str(path))


def test_every_value_arrives_typed(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "from: 007\nrate: 1e-3\nflag: true\nfile: x/../y\ninner: {heads: 3}\npair: [1, 2e0]\npart: 1/3\nweight: 0.5\n"
        "auto: 3\nfree: on\nnamed: {a: 2}\noptions: {a: [1, x], b: {c: null, d: '1'}}\n",
    )
    assert found == Outer(
        source="007",
        rate=0.001,
        flag=True,
        file=tmp_path / "y",
        inner=Inner(heads=3, line=5),
        pair=(1.0, 2.0),
        part=Part(Fraction(1, 3)),
        weight=Fraction(1, 2),
        auto=3,
        free="on",
        named={"a": Fraction(2)},
        options=found.options,
    )
    assert found.options == {"a": [1, "x"], "b": {"c": None, "d": "1"}}
    assert type(found.pair[0]) is float


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("-3.5e2", -350.0), ("true", True), ("yes", "yes"), ("'3'", "3"), ("nan", "nan")]
)
def test_a_free_value_is_what_it_looks_like(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, f"from: x\nfree: {text}\n").free
    assert (type(found), found) == (type(value), value)


def test_nothing_is_none_where_it_may_be(tmp_path: Path) -> None:
    found = read(tmp_path, "from: x\nfile: null\ninner:\npart: ~\n")
    assert (found.file, found.inner, found.part) == (None, None, None)


BROKEN = {
    "missing": ("kind: a", r":1: settings: 'from' is missing; add it"),
    "unknown": ("from: x\nkidn: a", r":2: settings: unknown key 'kidn'; did you mean 'kind'"),
    "twice": ("from: x\nkind: a\nkind: b", r":3: settings: 'kind' is given twice"),
    "listed key": ("from: x\n? [a]\n: 1", r":2: settings: a key must be a single word; found a list"),
    "choice": ("from: x\nkind: c", r":2: kind 'c' is unknown; choose one of a, b"),
    "not whole": ("from: x\nwidth: 3.5", r":2: width '3.5' is not a whole number"),
    "many digits": (f"from: x\nwidth: {'9' * 6000}", r":2: width '9+\.\.\. is not a whole number"),
    "beyond 64 bits": ("from: x\nwidth: 9223372036854775808", r":2: width .* is not a whole number"),
    "not a number": ("from: x\nrate: fast", r":2: rate 'fast' is not a number"),
    "not a number at all": ("from: x\nrate: nan", r":2: rate 'nan' is not a number"),
    "infinite": ("from: x\nrate: 1e999999999", r":2: rate .* is not a number"),
    "out of range": ("from: x\nrate: 0", r":2: rate '0' is not a number above 0"),
    "nested range": ("from: x\ninner: {heads: 0}", r":2: inner\.heads '0' is not a whole number of at least 1"),
    "endless fraction": ("from: x\nweight: 1e99999999", r":2: weight .* is not a number"),
    "endless small fraction": ("from: x\nweight: 1e-99999999", r":2: weight .* is not a number"),
    "divided by zero": ("from: x\nweight: 1/0", r":2: weight '1/0' is not a number"),
    "truth": ("from: x\nflag: yes", r":2: flag 'yes' is unknown; choose one of true, false"),
    "list for text": ("from: [x]", r":1: from must be a single value; found a list"),
    "nothing for text": ("from:", r":1: from must be a single value; found nothing"),
    "text for list": ("from: x\npair: 1", r":2: pair must be a list \[a, b\]; found '1'"),
    "falling list": ("from: x\npair: [2, 1]", r":2: pair \[2.0, 1.0\] falls; give the smaller"),
    "short list": ("from: x\npair: [1]", r":2: pair has 1 value; give 2"),
    "text for mapping": ("from: x\nnamed: y", r":2: named must be a mapping \(key: value\); found 'y'"),
    "text for class": ("from: x\ninner: y", r":2: inner must be a mapping"),
    "union": ("from: x\ninner: {depths: [1], head: 2}", r":2: inner: unknown key 'head'; did you mean 'heads'"),
    "own text": ("from: x\npart: never", r":2: part: never is not possible"),
    "own text's form": ("from: x\npart: y", r":2: part 'y' is not part"),
    "neither": ("from: x\nauto: y", r":2: auto 'y' is not auto or a whole number"),
    "condition": ("from: x\nwidth: 2000", r":1: settings: width 2000 is more than 1000"),
    "no such user": ("from: x\nfile: ~nosuchuser/y", r":2: file '~nosuchuser/y' names a user without a home"),
    "long name": (f"from: x\nfile: {'y' * 256}", r":2: file .* has a name of 256 bytes"),
    "long path": (f"from: x\nfile: {'y/' * 3000}", r":2: file .* is longer than \d+ bytes"),
    "control character": ('from: x\nfile: "a\\e[31m"', r":2: file .* holds control characters"),
    "turned text": ("from: x\nfile: a\u202eb", r":2: file .* holds control characters"),
    "list at top": ("[1, 2]", r":1: settings must be a mapping \(key: value\); found a list"),
    "repeated key in options": ("from: x\noptions: {a: {b: 1, b: 2}}", r":2: options\.a: 'b' is given twice"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_problem_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_all_problems_come_in_one_message_that_ends(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "kind: c\n" + "".join(f"k{index}: 1\n" for index in range(1000)))
    first, *others = str(caught.value).splitlines()
    assert first.endswith("1002 problems")
    assert len(others) == 41
    assert others[-1] == "  and 962 more"


def test_aliases_are_not_unfolded_in_a_message(tmp_path: Path) -> None:
    text = "from: &a [[x, x, x], [x, x, x]]\nwidth: *a\nkind: [*a, *a]\n"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 500


def test_paths_are_relative_to_the_file_and_those_of_set_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert read(tmp_path, "from: x\nfile: y").file == tmp_path / "y"
    assert read(tmp_path, "from: x\nfile: y", "file=z").file == elsewhere / "z"


def test_plain_values_of_json_keep_their_types() -> None:
    values = {"from": "x", "width": 3, "inner": {"blocks": [1, 2]}, "file": "y", "pair": [1, 2]}
    assert load(Outer, values, where="x.safetensors") == Outer(
        "x", width=3, inner=Other((1, 2)), file=Path("y"), pair=(1.0, 2.0)
    )
    for key, value in (
        ("width", "3"),
        ("width", 3.0),
        ("width", True),
        ("rate", float("nan")),
        ("flag", 1),
        ("from", 5),
    ):
        with pytest.raises(ConfigError, match=rf"^x\.safetensors: {key} .* is not"):
            load(Outer, {"from": "x", key: value}, where="x.safetensors")
    with pytest.raises(ConfigError, match="is not a whole number"):
        load(Outer, {"from": "x", "width": 10**6000}, where="x.safetensors")


def test_settings_that_are_read_later_keep_their_lines(tmp_path: Path) -> None:
    options = read(tmp_path, "from: x\noptions:\n  heads: 0\n").options
    assert isinstance(options, SettingsTree)
    with pytest.raises(ConfigError, match=r"outer\.yaml:3: options\.heads '0' is not a whole number of at least 1"):
        load(_Later, {"options": options}, where="x")


@dataclass(frozen=True, slots=True)
class _Later:
    options: Inner


@dataclass(frozen=True, slots=True)
class _Owned:
    owner: Annotated[str, Given("owner")]
    folder: Annotated[Path | None, Folder()]
    width: int


def test_given_fields_are_not_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("{width: 3}")
    problems = Problems(path)
    node = read_document(path, what="settings")
    assert Loader(problems).giving(owner="me").read(_Owned, node, "x") == _Owned("me", tmp_path, 3)
    problems.check()
    with pytest.raises(ConfigError, match="unknown key 'owner'"):
        load(_Owned, {"owner": "you", "width": 3}, where="x")


@dataclass(frozen=True, slots=True)
class _Tool:
    size: Annotated[int, Range(least=1)] = 1
    name: Annotated[str, Given("name")] = ""

    def __post_init__(self) -> None:
        if self.size > 9:
            raise ConfigError(f"size {self.size} is more than 9")


@dataclass(frozen=True, slots=True)
class _Workshop:
    rules: Annotated[_Tool, Flat()]
    sort: Annotated[str, OneOf(("a", "b"))] = "a"
    tool: Annotated[_Tool | None, Named("tool")] = None
    tools: tuple[Annotated[_Tool, Named("tool")], ...] = ()
    options: Annotated[Mapping[str, int], ByName("sort", {"a": Inner, "b": _Tool})] = field(default_factory=dict)


TOOLS = {"saw": _Tool(3, "saw"), "broken": INVALID}


def make(text: str, folder: Path) -> _Workshop:
    path = folder / "x.yaml"
    path.write_text(text)
    problems = Problems(path)
    loader = Loader(problems, named={"tool": TOOLS})
    found = loader.read(_Workshop, read_document(path, what="settings"), "x")
    problems.check()
    return found


def test_keys_of_a_flat_class_stand_in_the_same_mapping(tmp_path: Path) -> None:
    assert make("{size: 4, sort: b}", tmp_path) == _Workshop(_Tool(4), "b")
    assert make("{}", tmp_path) == _Workshop(_Tool())


def test_a_name_stands_for_what_it_names(tmp_path: Path) -> None:
    made = make("{tool: saw, tools: [saw]}", tmp_path)
    assert (made.tool, made.tools) == (TOOLS["saw"], (TOOLS["saw"],))


WRONG = {
    "flat range": ("{size: 0}", r"x\.yaml:1: x\.size '0' is not a whole number of at least 1$"),
    "flat condition": ("{size: 12}", r"x\.yaml:1: x: size 12 is more than 9$"),
    "flat class as a mapping": ("{rules: {size: 1}}", r"x: unknown key 'rules'"),
    "unknown name": ("sort: a\ntool: sew", r"x\.yaml:2: x\.tool: tool 'sew' is unknown; did you mean 'saw'\?$"),
    "unknown name in a list": ("tools: [saw, x]", r"x\.tools\.1: tool 'x' is unknown"),
    "none of several": ("sort: c", r"x\.sort 'c' is unknown; choose one of a, b$"),
    "options of another": ("{sort: b, options: {heads: 1}}", r"x\.options: unknown key 'heads'"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_notes_forbid_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        make(text, tmp_path)


def test_a_problem_of_what_is_named_is_not_told_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("tool: broken")
    problems = Problems(path)
    found = Loader(problems, named={"tool": TOOLS}).read(_Workshop, read_document(path, what="settings"), "x")
    assert found is INVALID
    problems.check()


def test_the_schema_has_the_same_keys(tmp_path: Path) -> None:
    schema = json_schema(_Workshop)
    assert list(schema["properties"]) == ["size", "sort", "tool", "tools", "options"]
    assert schema["properties"]["sort"]["enum"] == ["a", "b"]
    assert [case["then"]["properties"]["options"]["properties"].keys() for case in schema["allOf"]] == [
        {"depths", "heads"},
        {"size"},
    ]


@dataclass(frozen=True, slots=True)
class _Deferred:
    models: Section


def test_a_section_is_kept_for_later(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("models: {a: 1}")
    node = read_document(path, what="settings")
    assert load(_Deferred, node, where="x").models.words() == ("a",)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(["from", "kind", "width", "rate", "flag", "file", "inner", "pair", "part", "weight", "options"])


@settings(deadline=None)
@given(st.dictionaries(_KEYS, _VALUES))
def test_any_plain_values_give_settings_or_one_error(values: dict[str, object]) -> None:
    try:
        assert isinstance(load(Outer, values, where="x.json"), Outer)
    except ConfigError as error:
        str(error).encode()


def test_the_schema_says_what_the_loader_reads() -> None:
    schema = json_schema(Outer)
    assert schema["required"] == ["from"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["kind"] == {"enum": ["a", "b"], "default": "a"}
    assert properties["rate"] == {"type": "number", "exclusiveMinimum": 0, "default": 1.0}
    inner = properties["inner"]["anyOf"][0]
    assert set(inner["properties"]) == {"depths", "heads"}
    assert inner["properties"]["depths"]["items"] == {"type": "integer"}
    assert properties["inner"]["anyOf"][2] == {"type": "null"}
    assert properties["named"] == {"type": "object", "additionalProperties": {"type": ["number", "string"]}}
