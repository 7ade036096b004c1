"""The ladder of a noun: what is asked for, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rvos.language.nouns import NounSettings
from rvos.masks.detections import FrameBoxes, FrameInstances
from rvos.videos import Expression, Video
from rvos_fusion.kinds.networks.ladder import Found, Ladder, Names, descend, list_ladders

VIDEO = Video(
    "v",
    ("0",),
    tuple(Expression(str(n), text) for n, text in enumerate(["The left dog.", "a red thing", "dog that runs", "..."])),
    (Path("0.png"),),
)


class Detector:
    """Finds so many instances of some names, and writes down what it was asked."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.asked: list[list[Names]] = []

    def ask(self, rungs: Sequence[Names]) -> list[Found]:
        self.asked.append(list(rungs))
        return [{0: self.find(names)} for names in rungs]

    def find(self, names: Names) -> FrameInstances:
        n = sum(self.counts.get(name.replace(" ", "_"), 0) for name in names)
        return FrameInstances(FrameBoxes(np.zeros((n, 4), np.float32), np.ones(n, np.float32), ("x",) * n))


def count(found: Found) -> int:
    return sum(len(one.boxes.labels) for one in found.values())


def test_rungs_are_the_noun_its_sort_and_its_sentences() -> None:
    ladders = list_ladders(VIDEO, NounSettings(), "sentence")
    assert ladders == {
        "dog": Ladder(("dog",), ("animal",), ("the left dog", "dog that runs")),
        "thing": Ladder(("thing",), (), ("a red thing",)),
    }
    assert list_ladders(VIDEO, NounSettings(), "noun") == {"dog": Ladder(("dog",)), "thing": Ladder(("thing",))}
    given = NounSettings(broader={"thing": "object"})
    assert list_ladders(VIDEO, given, "broader")["thing"] == Ladder(("thing",), ("object",))


def test_the_rung_with_more_instances_is_kept_and_the_noun_of_equal_ones() -> None:
    ladders = {"dog": Ladder(("dog",), ("animal",)), "man": Ladder(("man",), ("person",))}
    steps = descend(ladders, Detector(dog=1, animal=2, man=2, person=2).ask, count)
    assert [(steps[noun].rung, steps[noun].kept) for noun in ladders] == [("broader", ("animal",)), ("noun", ("man",))]
    assert steps["dog"].instances == {"dog": 1, "animal": 2}
    assert count(steps["dog"].found) == 2


def test_sentences_are_asked_for_where_nothing_is_found_and_nowhere_else() -> None:
    ladders = list_ladders(VIDEO, NounSettings(), "sentence")
    detector = Detector(animal=1, a_red_thing=3)
    steps = descend(ladders, detector.ask, count)
    assert detector.asked == [[("dog",), ("animal",), ("thing",)], [("a red thing",)]]
    assert (steps["thing"].rung, steps["thing"].kept) == ("sentence", ("a red thing",))
    assert steps["thing"].instances == {"thing": 0, "a red thing": 3}


def test_where_no_rung_finds_anything_the_noun_is_kept() -> None:
    steps = descend({"dog": Ladder(("dog",), ("animal",), ("the dog",))}, Detector().ask, count)
    assert (steps["dog"].rung, steps["dog"].kept, count(steps["dog"].found)) == ("nothing", ("dog",), 0)
    detector = Detector()
    assert descend({}, detector.ask, count) == {}
    assert detector.asked == []
