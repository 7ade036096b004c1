"""A fusion method and a key rule of one's own: one class and one line of a table, and recipes know their settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from small_data import write_split

from fusion.methods.table import METHODS
from fusion.rules import Answers, FusionRule
from propagate.key_rules.base import KeyRule
from propagate.key_rules.table import KEY_RULES
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.settings import Range
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.propagate import PropagateNode
from rvos_fusion.recipe.reader import read_recipe

TAKEN = "stages.stage1.ab={fuse: [a, b, c], method: taken, place: 1}"
LAST = "stages.stage1.p={propagate: a, folder: members/a, key: {rule: last, skip: 1}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(FusionRule):
    """One member, whatever the others say."""

    method: ClassVar[str] = "taken"

    place: Annotated[int, Range(least=0)] = 0

    def fuse(self, answers: Answers) -> list[tuple[bytes, ...]]:
        return [rows[0][self.place].runs for rows in answers.groups]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFrame(KeyRule):
    """The last frame but some."""

    rule: ClassVar[str] = "last"

    skip: Annotated[int, Range(least=0)] = 0

    def pick(self, sequence: MaskSequence) -> int:
        return sequence.n_frames - 1 - self.skip


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS, "taken", f"{__name__}:Taken")  # type: ignore[arg-type]
    monkeypatch.setitem(KEY_RULES, "last", f"{__name__}:LastFrame")  # type: ignore[arg-type]
    write_split(tmp_path, 1)
    return tmp_path / "pipeline.yaml"


def test_a_method_of_ones_own_is_read_with_its_settings_and_computed(recipe: Path) -> None:
    node = read_recipe(recipe, [TAKEN]).node("ab")
    assert isinstance(node, FuseNode)
    assert node.rule == Taken(("a", "b", "c"), place=1)
    assert main(["run", str(recipe), "--set", TAKEN, "--set", "stages.stage1.ab.groups={by: none}", "--quiet"]) == 0
    store = Store(Path("runs"))
    taken, given = (store.read(name, "video0") for name in ("ab", "b"))
    assert [one.runs for one in taken] == [one.runs for one in given]


def test_a_key_rule_of_ones_own_is_read_with_its_settings(recipe: Path) -> None:
    node = read_recipe(recipe, [LAST]).node("p")
    assert isinstance(node, PropagateNode)
    assert node.key == LastFrame(skip=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (TAKEN.replace("place", "plac"), r"unknown key 'plac'; did you mean 'place'"),
        (TAKEN.replace("place: 1", "threshold: 1"), r"unknown key 'threshold'"),
        (TAKEN.replace("taken", "takn"), r"method 'takn' is unknown; did you mean 'taken'"),
        (TAKEN.replace("place: 1", "place: -1"), r"place '-1' is not a whole number of at least 0"),
        (LAST.replace("skip", "skp"), r"unknown key 'skp'; did you mean 'skip'"),
        (LAST.replace("last", "lats"), r"key.rule 'lats' is unknown; did you mean 'last'"),
    ],
    ids=str,
)
def test_keys_of_other_classes_are_refused_with_the_nearest(recipe: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe(recipe, [change])


def test_what_is_chosen_counts_in_the_settings(recipe: Path) -> None:
    """Two methods, or two rules, at their defaults are different settings."""
    chosen = [
        read_recipe(recipe, [f"stages.stage1.ab={{fuse: [a, b, c], method: {method}}}"]).node("ab").settings()
        for method in ("taken", "average", "best")
    ]
    rules = [
        read_recipe(recipe, [LAST.replace("rule: last, skip: 1", f"rule: {rule}")]).node("p").settings()
        for rule in ("last", "largest", "steady")
    ]
    assert all(chosen.count(one) == 1 for one in chosen)
    assert all(rules.count(one) == 1 for one in rules)
