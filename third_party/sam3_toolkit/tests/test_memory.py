"""The memory selection is the official one, and what it forgets is never read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3_toolkit.memory import (
    LEAST_EFFECTIVE,
    MOST_PLACES,
    N_MAPS,
    ObjectMemory,
    Seen,
    list_candidates,
    select_prompted,
)

SITUATIONS = json.loads((Path(__file__).parent / "selection_rule.json").read_text())
"""Of the official code: stored frames, and the lists that follow for a frame."""
SURE = torch.full((1, 1, 1), 1e4)


def make_seen(frame: int, worth: float) -> Seen:
    tensor = torch.full((1, 1, 1), float(frame))
    return Seen(tensor, SURE, worth, tensor, tensor)


def keep_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectMemory, "_list_read", lambda self, place: dict.fromkeys(self._tracked, True))


def recall(memory: ObjectMemory, frame: int, n_frames: int, *, backwards: bool) -> dict[str, Any]:
    recalled = memory.recall(frame, backwards=backwards, n_frames=n_frames)
    # What is handed over belongs to the frame that it is said to be of.
    assert all(float(tensor) == t for _, t, tensor in (*recalled.maps, *recalled.pointers))
    return {
        "maps": [[place, t] for place, t, _ in recalled.maps],
        "pointers": [[place, t] for place, t, _ in recalled.pointers],
    }


def test_lists_of_frames_are_the_official_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_everything(monkeypatch)
    for one in SITUATIONS:
        effective = {int(frame): worth for frame, worth in one["effective"].items()}
        found = list_candidates(one["frame"], effective, one["frames"], backwards=one["reverse"])
        assert found == one["candidates"]
        memory = ObjectMemory()
        for frame in one["conditioning"]:
            memory.prompt(frame, make_seen(frame, 1))
        for frame, worth in effective.items():
            memory.track(frame, make_seen(frame, worth))
        lists = recall(memory, one["frame"], one["frames"], backwards=one["reverse"])
        assert lists == {"maps": one["maps"], "pointers": one["pointers"]}


def test_a_frame_is_worth_what_its_score_and_its_mask_are() -> None:
    seen = make_seen(0, 0.8)
    assert seen.effective == pytest.approx(0.8)
    absent = Seen(seen.logits, torch.full((1, 1, 1), -0.1), 0.8, seen.pointer, seen.memory)
    assert absent.effective == 0
    half = Seen(seen.logits, torch.full((1, 1, 1), 1.0986123), 0.5, seen.pointer, seen.memory)
    assert half.effective == pytest.approx(0.25)


WORTHS = st.lists(st.sampled_from([0.0, LEAST_EFFECTIVE, 0.011, 0.6]), min_size=2, max_size=60)


def walk(memory: ObjectMemory, worths: list[float], key: int, *, shared: bool) -> list[dict[str, Any]]:
    """Return the lists of every frame, forwards from the key frame and then backwards."""
    n_frames, lists = len(worths), []
    memory.prompt(key, make_seen(key, 1))
    passes = [range(key + 1, n_frames), range(key - 1, -1, -1)] if shared else [range(key + 1, n_frames)]
    for order in passes:
        for frame in order:
            lists.append(recall(memory, frame, n_frames, backwards=order.step < 0))
            memory.track(frame, make_seen(frame, worths[frame]))
    return lists


@settings(max_examples=40, deadline=None)
@given(worths=WORTHS, share=st.floats(0, 0.99), shared=st.booleans())
def test_what_is_forgotten_is_never_read(worths: list[float], share: float, shared: bool) -> None:
    key = int(share * len(worths))
    pruned = walk(ObjectMemory(keeps_turn=shared), worths, key, shared=shared)
    with pytest.MonkeyPatch.context() as patch:
        keep_everything(patch)
        whole = walk(ObjectMemory(keeps_turn=shared), worths, key, shared=shared)
    assert pruned == whole


@pytest.mark.parametrize("lost", ["a place", "a map"])
def test_nothing_more_may_be_forgotten(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worths = [0.6 if frame % 7 else 0.0 for frame in range(40)]
    kept = walk(ObjectMemory(), worths, 0, shared=False)
    with pytest.MonkeyPatch.context() as patch:
        keep_everything(patch)
        assert walk(ObjectMemory(), worths, 0, shared=False) == kept
    list_read = ObjectMemory._list_read

    def forget(self: ObjectMemory, place: int) -> dict[int, bool]:
        reads = list_read(self, place)
        if lost == "a place":
            return dict(list(reads.items())[: MOST_PLACES - 1])
        oldest_map = [t for t, has_map in reads.items() if has_map][-1]
        return {**reads, oldest_map: False} if sum(reads.values()) == N_MAPS else reads

    monkeypatch.setattr(ObjectMemory, "_list_read", forget)
    assert walk(ObjectMemory(), worths, 0, shared=False) != kept


@pytest.mark.parametrize(("shared", "most"), [(False, (16, 6)), (True, (31, 11))])
def test_the_bound_does_not_depend_on_the_length(shared: bool, most: tuple[int, int]) -> None:
    memory = ObjectMemory(keeps_turn=shared)
    memory.prompt(0, make_seen(0, 1))
    for frame in range(1, 300):
        memory.track(frame, make_seen(frame, 0.6 if frame % 7 else 0.0))
        kept = memory._tracked.values()
        assert len(kept) <= most[0]
        assert sum(tracked.memory is not None for tracked in kept) <= most[1]
    assert memory.n_bytes < 4 * 4 + (most[0] + most[1]) * 4 + 1


def test_four_prompted_frames_are_attended_to() -> None:
    assert select_prompted(50, [0, 10, 20, 30, 40, 60, 70]) == [40, 60, 30, 70]
    assert select_prompted(5, [0, 10, 20, 30]) == [0, 10, 20, 30]
    assert select_prompted(10, [0, 10, 20, 30, 40]) == [0, 10, 20, 30]


def test_a_prompt_beyond_the_four_serves_as_the_neighbour() -> None:
    memory = ObjectMemory()
    for frame in (0, 2, 4, 5, 6, 30):
        memory.prompt(frame, make_seen(frame, 1))
    memory.track(28, make_seen(28, 0.5))
    lists = recall(memory, 31, 40, backwards=False)
    assert [t for _, t in lists["maps"]] == [30, 6, 5, 4, 28]
    assert [1, 30] not in lists["maps"]


def test_a_prompt_that_lies_ahead_gives_no_pointer() -> None:
    memory = ObjectMemory()
    memory.prompt(9, make_seen(9, 1))
    assert recall(memory, 4, 20, backwards=False) == {"maps": [[0, 9]], "pointers": []}
    assert recall(memory, 4, 20, backwards=True) == {"maps": [[0, 9]], "pointers": [[5, 9]]}
