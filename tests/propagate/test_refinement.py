"""Refinement by masklets: the specification's conformance examples, and what holds for any masks.

Frames of the examples are 1 row x 10 columns; `[a, b)` are the marked columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from propagate.masklets import list_distinct
from propagate.refinement import Evidence, Refinement, RefinementSettings, cut_windows, refine
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import decode
from rvos.masks.runs import Runs, intersect_by_frame, unite

WIDTH = 10
Spans = Sequence[Sequence[tuple[int, int]]]


def draw(frames: Spans) -> Runs:
    """Return masks whose frames mark these columns."""
    masks = np.zeros((len(frames), 1, WIDTH), np.bool_)
    for mask, spans in zip(masks, frames, strict=True):
        for first, after in spans:
            mask[0, first:after] = True
    return Runs.from_masks(masks)


def same(spans: tuple[int, int], n_frames: int) -> Spans:
    return [[spans]] * n_frames


def run(coarse: Spans, masklets: Sequence[Spans], **settings: object) -> tuple[Refinement, NDArray[np.bool_]]:
    """Return the refinement and its masks `(T, columns)`."""
    drawn = draw(coarse)
    evidence = Evidence(drawn, [draw(masklet) for masklet in masklets])
    found = refine(evidence, RefinementSettings(**settings))  # type: ignore[arg-type]
    return found, decode(evidence.pick(drawn.encode(), found.frames), drawn.size)[:, 0]


def columns(spans: Spans) -> NDArray[np.bool_]:
    runs = draw(spans)
    return decode(runs.encode(), runs.size)[:, 0]


def test_a_a_frame_that_takes_too_much_is_outvoted() -> None:
    coarse = [[(5, 10)], [(5, 10)], [(0, 4), (5, 10)], [(5, 10)], [(5, 10)]]
    found, masks = run(coarse, [same((0, 4), 5), same((5, 10), 5)], window=5)
    (window,) = found.windows
    assert window.votes == (((1,), 4), ((0, 1), 1))
    assert (window.selected, window.tie, window.reason) == ((1,), None, "refined")
    assert np.array_equal(masks, columns(same((5, 10), 5)))


def test_b_a_share_that_equals_tau_is_no_member() -> None:
    found, masks = run(same((0, 4), 3), [same((0, 5), 3)])
    assert found.windows[0].votes == (((), 3),)
    assert found.windows[0].reason == "empty_selection"
    assert masks.sum(axis=1).tolist() == [4, 4, 4]
    found, masks = run(same((0, 5), 3), [same((0, 5), 3)])
    assert found.windows[0].votes == (((0,), 3),)
    assert masks.sum(axis=1).tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("swapped", "tie", "selected"),
    [(False, "stable", (0,)), (False, "first", (0,)), (True, "first", ()), (True, "stable", (0,))],
)
def test_c_nothing_loses_a_tie(swapped: bool, tie: str, selected: tuple[int, ...]) -> None:
    coarse = [[(0, 5)], [(0, 5)], [(6, 8)], [(6, 8)]]
    coarse = coarse[::-1] if swapped else coarse
    found, masks = run(coarse, [same((0, 5), 4)], window=4, tie=tie)
    assert found.windows[0].selected == selected
    assert found.windows[0].tie == ("first_seen" if tie == "first" else "not_empty")
    assert np.array_equal(masks, columns(same((0, 5), 4) if selected else coarse))


@pytest.mark.parametrize(
    ("tail", "spans", "selected", "last"),
    [
        ("keep", [(0, 14), (15, 16)], [(0,), (1,)], (5, 9)),
        ("merge", [(0, 16)], [(0,)], (0, 4)),
        ("balanced", [(0, 8), (9, 16)], [(0,), (0,)], (0, 4)),
    ],
)
def test_d_the_rest_of_a_video(
    tail: str, spans: list[tuple[int, int]], selected: list[tuple[int, ...]], last: tuple[int, int]
) -> None:
    coarse = [*same((0, 4), 15), *same((5, 9), 2)]
    found, masks = run(coarse, [same((0, 4), 17), same((5, 9), 17)], tail=tail)
    assert [(window.first, window.last) for window in found.windows] == spans
    assert [window.selected for window in found.windows] == selected
    assert np.array_equal(masks, columns([*same((0, 4), 15), *same(last, 2)]))


@pytest.mark.parametrize(("rule", "areas"), [("keep", [5, 5, 0, 5, 5]), ("coarse", [5, 5, 5, 5, 5])])
def test_e_an_object_out_of_view(rule: str, areas: list[int]) -> None:
    masklet: Spans = [[(0, 5)], [(0, 5)], [], [(0, 5)], [(0, 5)]]
    found, masks = run(same((0, 5), 5), [masklet], empty_composition=rule)
    assert found.windows[0].votes == (((0,), 4), ((), 1))
    assert masks.sum(axis=1).tolist() == areas


def test_f_masklets_may_overlap() -> None:
    found, masks = run([[(0, 10)]], [[[(0, 6)]], [[(4, 10)]]])
    assert found.windows[0].selected == (0, 1)
    assert masks.sum() == 10


def test_g_copies_are_dropped() -> None:
    masklets = [draw([[(0, 5)]]), draw([[(0, 5)]])]
    assert list_distinct(masklets, dedup_iou="off") == (0, 1)
    assert list_distinct(masklets, dedup_iou=0.9) == (0,)
    both, kept = (refine(Evidence(masklets[0], some), RefinementSettings()) for some in (masklets, masklets[:1]))
    assert (both.windows[0].selected, kept.windows[0].selected) == ((0, 1), (0,))


@pytest.mark.parametrize("masklets", [[], [[[], []]]])
def test_h_without_masklets_the_coarse_masks_stay(masklets: list[Spans]) -> None:
    found, masks = run(same((0, 4), 2), masklets)
    assert [window.reason for window in found.windows] == ["no_masklet"]
    assert np.array_equal(masks, columns(same((0, 4), 2)))


def test_a_dropped_copy_drops_nothing_else() -> None:
    chain = [draw([[(0, 6)]]), draw([[(1, 7)]]), draw([[(2, 8)]]), draw([[]])]
    # IoU of neighbours 5/7, of the first and the third 4/8.
    assert list_distinct(chain, dedup_iou=0.7) == (0, 2)


def test_the_window_before_decides_a_tie() -> None:
    coarse = [*same((0, 4), 2), [(0, 4)], [(5, 9)]]
    masklets = [same((0, 4), 4), same((5, 9), 4)]
    found, _ = run(coarse, masklets, window=2)
    assert (found.windows[1].selected, found.windows[1].tie) == ((0,), "previous_window")
    found, _ = run([*same((5, 9), 2), *coarse[2:]], masklets, window=2)
    assert found.windows[1].selected == (1,)


def test_the_better_overlap_decides_a_tie() -> None:
    coarse: Spans = [[(0, 4)], [(4, 10)]]
    found, _ = run(coarse, [same((0, 4), 2), same((5, 9), 2)], window=2)
    # IoU over both frames: 4/4 and 0 against 0 and 4/6.
    assert (found.windows[0].selected, found.windows[0].tie) == ((0,), "overlap")


def test_the_first_seen_decides_what_nothing_else_does() -> None:
    found, _ = run([[(5, 9)], [(0, 4)]], [same((0, 4), 2), same((5, 9), 2)], window=2)
    assert (found.windows[0].selected, found.windows[0].tie) == ((1,), "first_seen")


def test_empty_frames_may_be_kept_from_voting() -> None:
    coarse: Spans = [[], [], [(0, 5)]]
    masklets = [same((0, 5), 3)]
    assert run(coarse, masklets)[0].windows[0].selected == ()
    assert run(coarse, masklets, count_empty=False)[0].windows[0].selected == (0,)
    assert run([[]] * 3, masklets, count_empty=False)[0].windows[0].reason == "empty_selection"


def test_a_small_masklet_can_be_kept_from_replacing_a_large_mask() -> None:
    found, masks = run(same((0, 10), 3), [same((0, 4), 3)], min_coverage=0.5)
    assert found.windows[0].reason == "low_coverage"
    assert masks.all()
    assert run(same((0, 10), 3), [same((0, 4), 3)], min_coverage=0.4)[0].windows[0].reason == "refined"


def test_specks_are_not_visible() -> None:
    assert run(same((0, 9), 2), [same((0, 2), 2)], min_area=3)[0].windows[0].selected == ()


@pytest.mark.parametrize("settings", [{"tau": 1.0}, {"tau": -0.1}, {"window": 0}, {"tau": float("nan")}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="give"):
        RefinementSettings(**settings)  # type: ignore[arg-type]


SHAPE = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 4))


@st.composite
def masks(draw: st.DrawFn, n_most: int = 4) -> list[NDArray[np.bool_]]:
    """Return coarse masks and up to `n_most` masklets of one shape `(T, H, W)`."""
    shape = draw(SHAPE)
    n_masks = 1 + draw(st.integers(0, n_most))
    bits = draw(st.lists(st.booleans(), min_size=n_masks * int(np.prod(shape)), max_size=n_masks * int(np.prod(shape))))
    return list(np.reshape(bits, (n_masks, *shape)))


def gather(drawn: list[NDArray[np.bool_]]) -> tuple[Evidence, list[NDArray[np.bool_]]]:
    return Evidence(Runs.from_masks(drawn[0]), [Runs.from_masks(one) for one in drawn[1:]]), drawn[1:]


@given(masks(), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.8]))
def test_every_frame_is_coarse_or_the_union_of_the_selection(
    drawn: list[NDArray[np.bool_]], window: int, tau: float
) -> None:
    evidence, masklets = gather(drawn)
    found = refine(evidence, RefinementSettings(window=window, tau=tau))
    result = decode(evidence.pick(evidence.coarse.encode(), found.frames), evidence.coarse.size)
    for choice in found.windows:
        span = slice(choice.first, choice.last + 1)
        union = np.any([masklets[index][span] for index in choice.selected], axis=0)
        assert np.array_equal(result[span], union if choice.reason == "refined" else drawn[0][span])


@given(masks(), st.integers(1, 4))
def test_windows_do_not_see_each_other(drawn: list[NDArray[np.bool_]], window: int) -> None:
    """With the rule of the paper; the stable one may look at the window before."""
    settings = RefinementSettings(window=window, tie="first")
    evidence, _ = gather(drawn)
    whole = refine(evidence, settings)
    for choice in whole.windows:
        alone, _ = gather([one[choice.first : choice.last + 1] for one in drawn])
        (window_alone,) = refine(alone, settings).windows
        assert (window_alone.votes, window_alone.selected) == (choice.votes, choice.selected)
        if evidence.areas[:, choice.first : choice.last + 1].any():
            assert window_alone.reason == choice.reason


@given(masks(), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_higher_tau_takes_no_masklet_in(drawn: list[NDArray[np.bool_]], one: float, other: float) -> None:
    evidence, _ = gather(drawn)
    few = evidence.find_members(tau=max(one, other), min_area=0)
    many = evidence.find_members(tau=min(one, other), min_area=0)
    assert (many | ~few).all()


@given(masks())
def test_counts_on_run_lengths_are_those_of_pixels(drawn: list[NDArray[np.bool_]]) -> None:
    evidence, masklets = gather(drawn)
    everything = tuple(range(len(masklets)))
    assert evidence.areas.tolist() == [one.sum(axis=(1, 2)).tolist() for one in masklets]
    assert evidence.common.tolist() == [(one & drawn[0]).sum(axis=(1, 2)).tolist() for one in masklets]
    if everything:
        composed, union = evidence.compose(everything), np.any(masklets, axis=0)
        assert np.array_equal(decode(composed.counts, evidence.coarse.size), union)
        either = (union | drawn[0]).sum(axis=(1, 2))
        expected = np.where(either > 0, (union & drawn[0]).sum(axis=(1, 2)) / np.maximum(either, 1), 1.0)
        assert composed.ious.tolist() == expected.tolist()


@given(masks())
def test_united_runs_are_those_of_the_united_masks(drawn: list[NDArray[np.bool_]]) -> None:
    runs = [Runs.from_masks(one) for one in drawn]
    united, expected = unite(runs), Runs.from_masks(np.any(drawn, axis=0))
    assert (united.starts.tolist(), united.ends.tolist()) == (expected.starts.tolist(), expected.ends.tolist())
    assert intersect_by_frame(united, runs[0]).tolist() == drawn[0].sum(axis=(1, 2)).tolist()


@given(st.integers(1, 60), st.integers(1, 20), st.sampled_from(["keep", "merge", "balanced"]))
def test_windows_cover_every_frame_once(n_frames: int, window: int, tail: str) -> None:
    spans = cut_windows(n_frames, window, tail)  # type: ignore[arg-type]
    lengths = [after - first for first, after in spans]
    assert [frame for first, after in spans for frame in range(first, after)] == list(range(n_frames))
    assert max(lengths) <= (window + (window + 1) // 2 - 1 if tail == "merge" and n_frames > window else window)
    if tail == "balanced":
        assert max(lengths) - min(lengths) <= 1
        assert lengths == sorted(lengths, reverse=True)
