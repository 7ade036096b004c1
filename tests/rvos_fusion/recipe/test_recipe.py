"""Recipes: strict, every problem with its line, all problems at once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.methods.singles import SinglesRule
from fusion.methods.votes import Votes
from propagate.key_rules.steady import SteadiestFrame
from rvos.errors import ConfigError
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.imported import ImportNode
from rvos_fusion.kinds.member import MemberNode
from rvos_fusion.kinds.propagate import PropagateNode
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

BASE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: neighbours}
models:
  a: {import: dump, path: a.pth, values: probabilities}
  b: {runner: soc, checkpoint: b.pth, window: 8, options: {short_side: 96, lower_case: true}}
engines:
  e: {network: r50-aotl, checkpoint: e.pth, scales: [0.8, 1], flip: true, protocol: legacy}
stages:
  one:
    p: {propagate: a, engine: e, key: {of: b}}
    f: {fuse: [a, b], threshold: 2, singles: {only: b}, weights: {a: 0.5}, scores: mean}
submission: {node: f}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def read(folder: Path, text: str, *overrides: str) -> Recipe:
    return read_recipe(write(folder, text), overrides)


def test_every_value_arrives_typed(tmp_path: Path) -> None:
    recipe = read(tmp_path, BASE)
    a, b, p, f = recipe.nodes
    assert isinstance(a, ImportNode)
    assert a.values == "probabilities"
    assert isinstance(b, MemberNode)
    assert b.model.window == 8
    assert b.model.options == {"short_side": 96, "lower_case": True}
    assert isinstance(p, PropagateNode)
    assert p.engine is not None
    assert p.engine.scales == (0.8, 1.0)
    assert (p.engine.name, p.engine.protocol) == ("e", "legacy")
    assert p.inputs() == ("a", "b")
    assert isinstance(f, FuseNode)
    assert isinstance(f.rule, Votes)
    assert f.rule.exact_weights() == (Fraction(1, 2), Fraction(1))
    assert f.rule.singles == SinglesRule(only="b")
    assert f.rule.find_only(1) == 1
    assert (recipe.submission, recipe.stages, f.line) == ("f", ("one",), 12)


def test_paths_are_relative_to_the_recipe_and_those_of_set_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = BASE.replace("path: a.pth", "path: '${paths.release}/a.pth'") + "paths: {release: files}\n"
    assert _import_path(read(tmp_path, text)) == tmp_path / "files/a.pth"
    assert _import_path(read(tmp_path, text, "paths.release=mine")) == elsewhere / "mine/a.pth"


def _import_path(recipe: Recipe) -> Path:
    node = recipe.node("a")
    assert isinstance(node, ImportNode)
    return node.path


def test_set_changes_and_adds_any_value(tmp_path: Path) -> None:
    recipe = read(tmp_path, BASE, "stages.one.f.threshold=1 of 2", "stages.two.g.fuse=[a]", "stages.two.g.threshold=1")
    assert recipe.stages == ("one", "two")
    node = recipe.node("f")
    assert isinstance(node, FuseNode)
    assert isinstance(node.rule, Votes)
    assert str(node.rule.threshold) == "1 of 2"


def test_key_frames_have_one_place_and_an_older_form(tmp_path: Path) -> None:
    new = read(tmp_path, BASE.replace("{of: b}", "{rule: steady, of: b, references: 3}")).node("p")
    assert isinstance(new, PropagateNode)
    assert new.key == SteadiestFrame(of="b", references=3)
    old = BASE.replace("key: {of: b}", "key_frames: b, key_rule: steady, references: 3")
    with pytest.raises(ConfigError, match=r"yaml:11: .*write key: \{rule: steady, of: b, references: 3\}$"):
        read(tmp_path, old)


@settings(deadline=None)
@given(st.text(alphabet="abefmnorstw:-?[]{}&*!|>'\"%@`#,~ \n\t.0123456789", max_size=150))
def test_any_text_gives_a_recipe_or_one_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    for content in (text, BASE + text, BASE.replace("threshold: 2", text)):
        try:
            assert isinstance(read(tmp_path_factory.getbasetemp(), content), Recipe)
        except ConfigError as error:
            str(error).encode()


_PLACES = [
    "dataset", "dataset.root", "workspace", "groups", "groups.by", "models", "models.a", "models.a.path",
    "models.b.window", "models.b.options", "engines", "engines.e", "engines.e.scales", "engines.e.scales.0",
    "engines.e.long_edge", "stages", "stages.one", "stages.one.p", "stages.one.p.key", "stages.one.p.propagate",
    "stages.one.f.fuse", "stages.one.f.threshold", "stages.one.f.weights", "stages.one.f.weights.a",
    "stages.one.f.singles", "stages.one.f.groups", "submission", "submission.node", "paths", "paths.x",
]  # fmt: skip
_WORDS = ["null", "-1", "0", "1e400", ".nan", "9" * 5000, "1/3", "x", "[]", "[a, [b]]", "{}", "{a: {}}", "~u/x"]


@settings(deadline=None)
@given(
    place=st.sampled_from(_PLACES),
    word=st.sampled_from(
        ["null", "-1", "0", "1e400", ".nan", "9" * 5000, "1/3", "x", "[]", "[a, [b]]", "{}", "{a: {}}", "~u/x"]
    ),
)
def test_any_value_anywhere_gives_a_graph_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, place: str, word: str
) -> None:
    try:
        build_graph(read(tmp_path_factory.getbasetemp(), BASE, f"{place}={word}"))
    except ConfigError as error:
        str(error).encode()


def test_numbers_as_names_stay_text(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        BASE.replace("  a:", "  6031809500:")
        .replace("[a, b]", "[6031809500, b]")
        .replace("propagate: a", "propagate: 6031809500")
        .replace("{a: 0.5}", "{6031809500: 0.5}"),
    )
    assert recipe.nodes[0].name == "6031809500"


BROKEN = {
    "unknown key": (
        BASE.replace("singles", "single"),
        r"pipeline.yaml:12: .*unknown key 'single'; did you mean 'singles'",
    ),
    "unknown top key": (
        BASE.replace("groups:", "group:"),
        r"yaml:3: recipe: unknown key 'group'; did you mean 'groups'",
    ),
    "repeated key": (BASE.replace("workspace: runs", "workspace: runs\nworkspace: other"), r"yaml:3: .*given twice"),
    "missing key": (BASE.replace("root: data, ", ""), r"yaml:1: dataset: 'root' is missing"),
    "unknown engine": (BASE.replace("engine: e,", "engine: f,"), r"yaml:11: .*engine 'f' is unknown"),
    "unknown choice": (BASE.replace("neighbours", "neighbors"), r"yaml:3: .*did you mean 'neighbours'"),
    "bad threshold": (BASE.replace("threshold: 2", "threshold: many"), r"yaml:12: .*threshold 'many'"),
    "zero threshold": (BASE.replace("threshold: 2", "threshold: 0"), r"yaml:12: .*more than 0"),
    "threshold missing": (BASE.replace("threshold: 2, ", ""), r"yaml:12: .*'threshold' is missing"),
    "zero weight": (BASE.replace("a: 0.5", "a: 0"), r"yaml:12: .*above 0"),
    "bad number": (BASE.replace("[0.8, 1]", "[0.8, big]"), r"yaml:8: .*'big' is not a number"),
    "bad boolean": (BASE.replace("flip: true", "flip: yes"), r"yaml:8: .*flip 'yes' is unknown"),
    "list wanted": (BASE.replace("[a, b]", "a"), r"yaml:12: .*must be a list"),
    "mapping wanted": (BASE.replace("{by: neighbours}", "neighbours"), r"yaml:3: groups must be a mapping"),
    "nothing given": (BASE.replace("workspace: runs", "workspace:"), r"yaml:2: .*found nothing"),
    "unsafe name": (BASE.replace("    f:", "    ../f:"), r"yaml:12: .*'../f'"),
    "unknown runner": (BASE.replace("runner: soc", "runner: sok"), r"yaml:6: models\.b: runner 'sok' .*mean 'soc'"),
    "unknown option": (
        BASE.replace("options: {short_side", "options: {shortside"),
        r"yaml:6: models\.b\.options: unknown key 'shortside'; did you mean 'short_side'",
    ),
    "option out of range": (
        BASE.replace("short_side: 96", "short_side: 0"),
        r"yaml:6: models\.b\.options\.short_side '0' is not a whole number of at least 1",
    ),
    "same name twice": (
        BASE.replace("    f:", "    a:").replace("node: f", "node: a"),
        r"yaml:12: .*already defined at line 5",
    ),
    "unknown path": (BASE.replace("a.pth", "'${paths.x}/a.pth'"), r"yaml:5: \$\{paths.x\} is not defined"),
    "key rule": (BASE.replace("key: {of: b}", "key_rule: best"), r"yaml:11: stages\.one\.p: .*write key: {rule: best}"),
    "both forms of key": (
        BASE.replace("key: {of: b}", "key_rule: steady, key: {of: b}"),
        r"yaml:11: stages\.one\.p: key_rule stand under 'key' now",
    ),
    "rule of key": (
        BASE.replace("{of: b}", "{rule: best}"),
        r"yaml:11: .*key\.rule 'best' is unk",
    ),
    "no reference": (
        BASE.replace("{of: b}", "{references: 0}"),
        r"yaml:11: .*references '0' is not a whole number of at least 1",
    ),
    "unknown weight": (
        BASE.replace("{a: 0.5}", "{aa: 0.5}"),
        r"yaml:12: .*weights: unknown key 'aa'",
    ),
    "unknown rest": (BASE.replace("{only: b}", "{only: c}"), r"yaml:12: .*singles\.only 'c' is unknown"),
    "endless weight": (BASE.replace("a: 0.5", "a: 1e99999999"), r"yaml:12: .*weights\.a '1e99999999' is not a number"),
    "long weight": (BASE.replace("a: 0.5", f"a: 1/{'9' * 30}"), r"yaml:12: .*weight"),
    "list as key": (
        BASE.replace("{fuse: [a, b],", "{? [x] : y, fuse: [a, b],"),
        r"yaml:12: .*must be a single word",
    ),
    "zero in a path": (BASE.replace("workspace: runs", 'workspace: "a\\0b"'), r"yaml:2: .*holds a zero"),
    "half a character": (BASE.replace("path: a.pth", 'path: "\\uD800"'), r"yaml:5: .*holds a zero or half"),
    "no such user": (BASE + "paths: {x: ~nosuchuser/y}\n", r"yaml:14: paths\.x .* names a user without a home"),
    "long name": (BASE.replace("workspace: runs", f"workspace: {'x' * 300}"), r"yaml:2: .*has a name of 300 bytes"),
    "open reference": (BASE.replace("workspace: runs", "workspace: ${paths."), r"yaml:2: .*only \$\{paths.NAME\} is"),
    "variable": (
        BASE.replace("workspace: runs", "workspace: $HOME/x"),
        r"yaml:2: .*only \$\{paths.NAME\} is filled in",
    ),
    "bad path that is referred to": (
        BASE.replace("path: a.pth", "path: '${paths.x}/a'") + "paths: {x: ~nosuchuser/y}\n",
        r"^[^\n]*yaml:14: paths\.x [^\n]*$",
    ),
    "tag": (BASE.replace("workspace: runs", "workspace: !!binary aGk="), r"yaml:2: the tag"),
    "laughs": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
        "aliases unfolded",
    ),
    "root as workspace": (BASE.replace("workspace: runs", "workspace: /"), r"yaml:2: workspace / is the root of all"),
    "neither kind": (BASE.replace("propagate: a, engine: e, key: {of: b}", "engine: e"), r"yaml:11: .*neither"),
    "two rests": (BASE.replace("{only: b}", "{only: b, threshold: 1}"), r"yaml:12: .*either a threshold or"),
    "not yaml": ("dataset: {a: [}\n", r"yaml:1: not YAML"),
    "tab": ("dataset:\n\tformat: x\n", r"yaml:2: not YAML"),
    "binary": ("\x00\x01", "not YAML"),
    "empty": ("", r"recipe is empty"),
    "nothing that is needed": ("paths: {}", r"3 problems[^$]*'dataset' is missing"),
    "list": ("[1, 2]", r"recipe must be a mapping"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=list(BROKEN))
def test_problems_name_the_line_and_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_all_problems_come_in_one_message(tmp_path: Path) -> None:
    text = BASE.replace("singles", "single").replace("neighbours", "neighbors").replace("flip: true", "flip: 2")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("3 problems")
    assert [line.split("pipeline.yaml:")[1].split(":")[0] for line in lines[1:]] == ["3", "8", "12"]


TOGETHER: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "values and settings": (
        BASE.replace("neighbours", "neighbors").replace("a.pth", "!!binary a.pth").replace("flip: true", "flip: *no"),
        ("groups.by.x=2", "threshold", "stages.one.f.threshold=["),
        ["--set groups.by.x=2", "--set threshold", "not YAML", "3: ", "5: the tag", "8: no value is marked &no"],
    ),
    "no YAML": (BASE + "[", ("threshold",), ["--set threshold: expected", "not YAML"]),
}


@pytest.mark.parametrize(("text", "overrides", "expected"), TOGETHER.values(), ids=TOGETHER)
def test_what_is_no_yaml_and_cannot_be_set_is_told_with_the_rest(
    tmp_path: Path, text: str, overrides: tuple[str, ...], expected: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, *overrides)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith(f"{len(expected)} problems")
    assert [words in line for words, line in zip(expected, lines, strict=True)] == [True] * len(expected)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("threshold", "expected key=value"),
        ("stages..f=1", "expected key=value"),
        ("workspace.deeper=1", "no mapping"),
        ("stages.one.f.threshold=[", "not YAML"),
        ("stages.one.f.treshold=1", r"--set stages.one.f.treshold=1: .*did you mean 'threshold'"),
    ],
)
def test_bad_overrides_are_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, BASE, override)


def test_a_missing_file_and_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        read_recipe(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"dataset: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_recipe(path)


@pytest.mark.parametrize("name", ["lsvos2023_released", "paper"])
def test_our_own_recipes_can_be_read(name: str) -> None:
    folder = Path(__file__).parents[3] / "recipes"
    assert read_recipe(folder / f"{name}.yaml").stages == ("stage1", "stage2")


def test_the_example_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text()
    recipe = read(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert [node.name for node in build_graph(recipe).nodes] == ["soc", "other", "soc_aot", "fused", "final"]
