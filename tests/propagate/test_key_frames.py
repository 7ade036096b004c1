"""The steady key frame: good score, sure mask, usual size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from propagate.key_rules.base import KeyRule
from propagate.key_rules.table import KEY_RULES
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps
from rvos.settings.choices import load_row

SIDE = 16


def make_rule(name: str, **settings: Any) -> KeyRule:
    """Return a rule that tries two frames where it needs several."""
    rule: KeyRule = load_row(KEY_RULES[name])(**{"references": 2, **settings})
    return rule


def pick_steady_frame(masks: MaskSequence) -> int:
    return make_rule("steady").pick(masks)


def sequence(sides: tuple[int, ...], scores: tuple[float, ...], *, soft: SoftMaps | None = None) -> MaskSequence:
    """Return squares of the given sides; 0 is an empty mask."""
    masks = np.zeros((len(sides), SIDE, SIDE), np.bool_)
    for mask, side in zip(masks, sides, strict=True):
        mask[:side, :side] = True
    frames = tuple(str(index) for index in range(len(sides)))
    values = np.array(scores, np.float32)
    return MaskSequence.from_masks(masks, video="v", expression="0", frames=frames, scores=values, soft=soft)


def soft_maps(levels: tuple[float, ...]) -> SoftMaps:
    """Return maps with one probability a frame everywhere."""
    values: NDArray[np.float32] = np.ones((len(levels), 4, 4), np.float32) * np.array(levels, np.float32)[:, None, None]
    return SoftMaps.quantise(values, low=0.0, high=1.0, kind="probability")


def test_a_mask_of_unusual_size_is_no_key_frame() -> None:
    odd = sequence((4, 4, 8, 4), (0.5, 0.6, 0.9, 0.5))
    assert odd.pick_key_frame() == 2
    assert pick_steady_frame(odd) == 1


def test_equal_sizes_leave_the_best_score() -> None:
    assert pick_steady_frame(sequence((4, 4, 4), (0.5, 0.9, 0.6))) == 1


def test_the_surer_mask_wins_between_like_scores() -> None:
    soft = soft_maps((0.6, 0.95, 0.6))
    assert pick_steady_frame(sequence((4, 4, 4), (0.81, 0.8, 0.79), soft=soft)) == 1


def test_empty_masks_are_out_unless_all_are_empty() -> None:
    assert pick_steady_frame(sequence((0, 4, 4), (0.9, 0.2, 0.1))) == 1
    assert pick_steady_frame(sequence((0, 0), (0.2, 0.9))) == 1


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        pick_steady_frame(sequence((4, 4), (float("nan"), 0.5)))


@pytest.mark.parametrize(("rule", "key"), [("scores", 0), ("confidence", 1), ("largest", 2), ("steady", 1)])
def test_each_rule_has_its_own_key_frame(rule: str, key: int) -> None:
    masks = sequence((4, 4, 9), (0.9, 0.8, 0.1), soft=soft_maps((0.6, 0.95, 0.7)))
    assert make_rule(rule).pick(masks) == key


def test_ties_go_to_the_first_frame() -> None:
    even = sequence((4, 4, 4), (0.5, 0.5, 0.5), soft=soft_maps((0.8, 0.8, 0.8)))
    assert [make_rule(rule).pick(even) for rule in KEY_RULES] == [0] * len(KEY_RULES)


def test_without_any_mask_every_rule_is_that_of_the_scores() -> None:
    empty = sequence((0, 0), (0.2, 0.9), soft=soft_maps((0.1, 0.1)))
    assert [make_rule(rule).pick(empty) for rule in KEY_RULES] == [1] * len(KEY_RULES)


def test_a_stated_key_frame_stands_for_the_scores() -> None:
    stated = replace(sequence((4, 4), (0.9, 0.1)), key_frame=1)
    assert make_rule("scores").pick(stated) == 1


def test_confidence_without_soft_maps_says_what_to_set() -> None:
    with pytest.raises(InputError, match=r"v/0: .*set keep_soft: true"):
        make_rule("confidence").pick(sequence((4, 4), (0.5, 0.4)))


def test_key_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave 'of' out"):
        make_rule("consensus", references=3, of="b")


def test_rules_are_found_by_the_name_that_they_have() -> None:
    assert [load_row(place).rule for place in KEY_RULES.values()] == list(KEY_RULES)
