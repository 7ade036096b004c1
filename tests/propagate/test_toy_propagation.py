"""The toy propagator of the reference material through the real driver, `legacy` protocol: no pixel differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import RELEASED
from toy import ToyEngine, propagate_video, write_video

from rvos.masks.mask_sequences import MaskSequence

VIDEOS = ("aa01", "bb02", "cc03", "dd04")


def load() -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    with np.load(RELEASED / "propagation.npz") as arrays:
        return json.loads((RELEASED / "propagation.json").read_text()), dict(arrays)


def make_sequences(case: dict[str, Any], arrays: dict[str, Any], video: str) -> list[MaskSequence]:
    frames = tuple(case["videos"][video]["frames"])
    return [
        MaskSequence.from_masks(
            np.unpackbits(arrays[f"{video}/{expression}/mask"], axis=-1, count=case["width"]).astype(bool),
            video=video,
            expression=expression,
            frames=frames,
            scores=np.zeros(len(frames), dtype=np.float32),
            key_frame=case["key_frame"][video][expression]["index_info"]["class_index"],
        )
        for expression in case["videos"][video]["expressions"]
    ]


@pytest.mark.parametrize("together", [True, False], ids=["all expressions at once", "one by one"])
@pytest.mark.parametrize("name", VIDEOS)
def test_no_pixel_differs(tmp_path: Path, name: str, together: bool) -> None:
    case, arrays = load()
    sequences = make_sequences(case, arrays, name)
    video = write_video(tmp_path, name, sequences[0].frames, (case["height"], case["width"]))
    engine = ToyEngine(arrays[f"{name}/shift"], protocol="legacy")
    calls = [sequences] if together else [[sequence] for sequence in sequences]
    results = [r for call in calls for r in propagate_video(video, call, engine=engine)]
    for result in results:
        expected = np.unpackbits(arrays[f"expected/{name}/{result.expression}"], axis=-1, count=case["width"])
        assert int((result.masks() != expected.astype(bool)).sum()) == 0


def test_order_of_calls_is_that_of_the_release(tmp_path: Path) -> None:
    case, arrays = load()
    sequence = make_sequences(case, arrays, "aa01")[2]
    key, last = 2, 5
    video = write_video(tmp_path, "aa01", sequence.frames, (case["height"], case["width"]))
    engine = ToyEngine(arrays["aa01/shift"], protocol="legacy")
    propagate_video(video, [sequence], engine=engine)
    forward = [f"{verb} {t}" for t in range(key + 1, last + 1) for verb in ("propagate", "remember")]
    backward = [f"{verb} {t}" for t in range(key - 1, -1, -1) for verb in ("propagate", "remember")]
    reference_call = f"reference {key}"
    assert engine.sessions == [[reference_call, *forward, reference_call, *backward]]


def test_fresh_protocol_opens_a_session_for_each_direction(tmp_path: Path) -> None:
    case, arrays = load()
    sequence = make_sequences(case, arrays, "aa01")[2]
    video = write_video(tmp_path, "aa01", sequence.frames, (case["height"], case["width"]))
    engine = ToyEngine(arrays["aa01/shift"])
    propagate_video(video, [sequence], engine=engine)
    assert [calls[0] for calls in engine.sessions] == ["reference 2", "reference 2"]
    assert [calls[-1] for calls in engine.sessions] == ["remember 5", "remember 0"]
