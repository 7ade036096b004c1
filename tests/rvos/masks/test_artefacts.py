"""Every sort of artefact: what is read is what was written, and damage is one line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import InputError, StoreError
from rvos.masks.detections import FrameBoxes, Proposal, VideoBoxes, VideoProposals
from rvos.masks.mask_sequences import encode
from rvos.masks.stored import BOXES, PROPOSALS, TRACKLET_SETS, TRACKLETS, Codec
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Dropped, Instances, Tracklet, TrackletSet

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRAMES = ("00000", "00005", "00010")
WORDS = st.text("ab \u00e9", max_size=3)


@st.composite
def video_boxes(draw: st.DrawFn) -> VideoBoxes:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    by_frame = []
    for _ in FRAMES:
        labels = tuple(draw(st.lists(WORDS, max_size=3)))
        boxes = rng.normal(size=(len(labels), 4)).astype(np.float32)
        by_frame.append(FrameBoxes(boxes, rng.random(len(labels)).astype(np.float32), labels))
    return VideoBoxes("v", FRAMES, (6, 7), tuple(by_frame))


@st.composite
def tracklets(draw: st.DrawFn) -> tuple[Tracklet, ...]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return tuple(
        Tracklet(
            "v",
            str(number),
            FRAMES,
            (6, 7),
            encode(rng.random((3, 6, 7)) < draw(st.sampled_from([0.0, 0.3, 1.0]))),
            rng.random(3).astype(np.float32),
            draw(st.floats(0, 1)),
            draw(st.integers(0, 2)),
            draw(WORDS),
            draw(WORDS),
        )
        for number in range(draw(st.integers(0, 3)))
    )


@st.composite
def instances(draw: st.DrawFn) -> Instances:
    labels = draw(st.lists(WORDS, max_size=2, unique=True))
    presence = {label: np.array([draw(st.floats(0, 1, width=32)), 0.5, 0], np.float32) for label in labels}
    return Instances(draw(tracklets()), presence)


@st.composite
def tracklet_sets(draw: st.DrawFn) -> TrackletSet:
    kept = draw(tracklets())
    scores = np.array([draw(st.floats(0, 1)) for _ in kept], np.float64)
    by = draw(st.sampled_from([None, "0"]))
    dropped = (Dropped("9", by, draw(st.floats(0, 1)), draw(st.floats(0, 1)), 1, draw(WORDS), draw(WORDS)),)
    return TrackletSet("v", FRAMES, (6, 7), kept, scores, dropped, {"nms_iou": 0.5, "prob_mean": draw(WORDS)})


@st.composite
def proposals(draw: st.DrawFn) -> VideoProposals:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = sorted(draw(st.lists(st.sampled_from([0, 2]), max_size=4)))
    own = [
        Proposal(frame, encode(rng.random((1, 6, 7)) < 0.4)[0], draw(st.floats(0, 1)), draw(WORDS), draw(WORDS))
        for frame in frames
    ]
    return VideoProposals("v", FRAMES, (6, 7), (0, 2), tuple(own))


def to_plain(value: Any) -> Any:
    """Return a value with its arrays as lists, so that it can be compared."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, value.tolist()]
    if isinstance(value, Mapping):
        return {name: to_plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if hasattr(value, "__slots__"):
        return [to_plain(getattr(value, name)) for name in value.__slots__]
    return value


SORTS = [
    (BOXES, video_boxes()),
    (TRACKLETS, instances()),
    (TRACKLET_SETS, tracklet_sets()),
    (PROPOSALS, proposals()),
]
IDS = [codec.name for codec, _ in SORTS]


@pytest.mark.parametrize(("codec", "values"), SORTS, ids=IDS)
@QUICK
@given(data=st.data())
def test_what_is_read_is_what_was_written(
    tmp_path: Path, codec: Codec[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    store = Store(tmp_path)
    path = store.write_artefact("node", "v", value, "f", codec=codec)
    before = path.read_bytes()
    found = store.read_artefact("node", "v", "f", codec=codec)
    assert to_plain(found) == to_plain(value)
    assert store.write_artefact("node", "v", found, "f", codec=codec).read_bytes() == before


@pytest.mark.parametrize(("codec", "values"), SORTS, ids=IDS)
@QUICK
@given(data=st.data())
def test_damage_is_one_line(
    tmp_path: Path, codec: Codec[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    store = Store(tmp_path)
    path = store.write_artefact("node", "v", data.draw(values), "f", codec=codec)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    message = "v.masks"
    try:
        store.read_artefact("node", "v", "f", codec=codec)
    except StoreError as error:
        message = str(error)
    assert "v.masks" in message
    assert "\n" not in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**63 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=6,
)


@pytest.mark.parametrize(("codec", "values"), SORTS, ids=IDS)
@QUICK
@given(data=st.data())
def test_any_description_is_read_or_refused_by_its_codec(
    codec: Codec[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    """A forged description with right checksums: only the errors that the store turns into one line."""
    packed = codec.pack("v", data.draw(values))
    description = dict(packed.description)
    description[data.draw(st.sampled_from(sorted(description)))] = data.draw(json_values)

    def read(name: str, n_bytes: int | None = None) -> bytes:
        part = packed.parts[name]
        if n_bytes is not None and len(part) != n_bytes:
            raise ValueError(name)
        return part

    with suppress(InputError, ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError):
        codec.unpack("v", description, read)


def test_boxes_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="no finite numbers"):
        FrameBoxes(np.full((1, 4), np.nan, np.float32), np.ones(1, np.float32), ("",))
