"""The store: exact round trips, one clear error for anything that is not a whole file of ours."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import InputError, StoreError
from rvos.mask_sequences import MaskSequence, SoftMaps
from rvos.store import Store

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
IDS = st.from_regex(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,12}", fullmatch=True)


@st.composite
def videos(draw: st.DrawFn) -> list[MaskSequence]:
    """Sequences of one video: any number of expressions, frames and pixels, with or without soft maps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.tuples(st.integers(1, 4), st.integers(1, 21), st.integers(1, 19))))
    video = draw(IDS)
    return [
        MaskSequence.from_masks(
            rng.random(shape) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0])),
            video=video,
            expression=name,
            frames=tuple(f"{5 * t:05d}" for t in range(shape[0])),
            scores=rng.normal(size=shape[0]).astype(np.float32),
            key_frame=draw(st.one_of(st.none(), st.integers(0, shape[0] - 1))),
            soft=draw(st.sampled_from([None, SoftMaps.quantise(rng.normal(size=(shape[0], 3, 5)).astype(np.float32))])),
        )
        for name in draw(st.lists(IDS, max_size=3, unique=True))
    ]


def a_sequence(video: str = "v", expression: str = "0") -> MaskSequence:
    masks = np.zeros((2, 6, 7), bool)
    masks[0, 1:4, 2:5] = True
    return MaskSequence.from_masks(
        masks,
        video=video,
        expression=expression,
        frames=("00000", "00005"),
        scores=np.array([0.5, 0.25], np.float32),
        soft=SoftMaps.quantise(np.zeros((2, 2, 3), np.float32)),
    )


@QUICK
@given(videos())
def test_what_is_read_is_what_was_written(tmp_path: Path, sequences: list[MaskSequence]) -> None:
    store = Store(tmp_path)
    video = sequences[0].video if sequences else "v"
    store.write("node", video, sequences, "f")
    result = store.read("node", video, "f")
    assert len(result) == len(sequences)
    for ours, theirs in zip(result, sequences, strict=True):
        assert (ours.video, ours.expression, ours.frames) == (theirs.video, theirs.expression, theirs.frames)
        assert (ours.size, ours.runs, ours.key_frame) == (theirs.size, theirs.runs, theirs.key_frame)
        assert np.array_equal(ours.scores, theirs.scores)
        assert (ours.soft is None) == (theirs.soft is None)
        if ours.soft is not None and theirs.soft is not None:
            assert np.array_equal(ours.soft.values, theirs.soft.values)
            assert (ours.soft.low, ours.soft.high, ours.soft.kind) == (
                theirs.soft.low,
                theirs.soft.high,
                theirs.soft.kind,
            )


@QUICK
@given(st.data())
def test_one_changed_bit_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert not store.has("node", "v", "f")
    with pytest.raises(StoreError, match=r"v\.masks"):
        store.read("node", "v", "f")


@QUICK
@given(st.data())
def test_a_cut_file_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert not store.has("node", "v")
    with pytest.raises(StoreError, match=r"v\.masks"):
        store.read("node", "v")


@QUICK
@given(st.binary(max_size=200), st.booleans())
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes, starts_like_ours: bool) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [], "f")
    path.write_bytes((b"RVOSMASK" if starts_like_ours else b"") + content)
    with pytest.raises(StoreError, match=r"v\.masks"):
        store.read("node", "v")


@pytest.mark.parametrize(
    "change",
    [
        {"size": [6, 8]},
        {"size": [-6, -7]},
        {"size": "large"},
        {"frames": ["00000"]},
        {"frames": 3},
        {"expressions": [{"id": "0", "key_frame": 7, "soft": None}]},
        {"expressions": [{"id": "0", "key_frame": "x", "soft": None}]},
        {"expressions": [{"id": "0", "key_frame": None, "soft": [90, 160, -8.0, 8.0, "logit"]}]},
        {"expressions": [{"id": "0", "key_frame": None, "soft": [-2, -3, -8.0, 8.0, "logit"]}]},
        {"expressions": [{"id": "0", "key_frame": None, "soft": [2, 3, -8.0, 8.0, "energy"]}]},
        {"node": "other"},
        {"video": "other"},
        {"blocks": []},
    ],
    ids=str,
)
def test_a_forged_header_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    text = json.dumps(json.loads(content[20 : 20 + length]) | change).encode()
    start = content[:12] + struct.pack("<II", len(text), zlib.crc32(text))
    path.write_bytes(start + text + content[20 + length :])
    with pytest.raises(StoreError, match=r"v\.masks"):
        store.read("node", "v")


def test_another_fingerprint_is_another_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("node", "v", [a_sequence()], "old")
    assert store.has("node", "v", "old")
    assert not store.has("node", "v", "new")
    with pytest.raises(StoreError, match="other settings"):
        store.read("node", "v", "new")


def test_soft_maps_can_stay_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("node", "v", [a_sequence()], "f")
    assert store.read("node", "v", soft=False)[0].soft is None
    assert store.read("node", "v")[0].soft is not None


def test_the_same_sequences_give_the_same_bytes(tmp_path: Path) -> None:
    first = Store(tmp_path / "a").write("node", "v", [a_sequence()], "f").read_bytes()
    assert Store(tmp_path / "b").write("node", "v", [a_sequence()], "f").read_bytes() == first


@pytest.mark.parametrize("video", ["../../x", "/etc/x", "a/b", "", ".", "..", ".x", "a\nb", "a\\b", "x" * 300])
def test_unsafe_ids_are_refused_and_nothing_is_written(tmp_path: Path, video: str) -> None:
    store = Store(tmp_path / "workspace")
    with pytest.raises(InputError, match="id"):
        store.write("node", video, [a_sequence(video)], "f")
    with pytest.raises(InputError, match="id"):
        store.write(video, "v", [a_sequence()], "f")
    with pytest.raises(InputError, match="id"):
        store.write("node", "v", [a_sequence("v", video)], "f")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "sequences",
    [[a_sequence("other")], [a_sequence(), a_sequence()]],
    ids=["another video", "an expression twice"],
)
def test_sequences_that_do_not_belong_together_are_refused(tmp_path: Path, sequences: list[MaskSequence]) -> None:
    with pytest.raises(InputError, match="v"):
        Store(tmp_path).write("node", "v", sequences, "f")


def test_a_workspace_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "workspace").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "workspace").write("node", "v", [a_sequence()], "f")


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files makes the system refuse the write, as a full disk does."""
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "old")
    before = path.read_bytes()
    program = f"""
import resource, sys, numpy as np
from pathlib import Path
from rvos.errors import StoreError
from rvos.mask_sequences import MaskSequence
from rvos.store import Store
masks = np.random.default_rng(0).random((2, 200, 200)) < 0.5
sequence = MaskSequence.from_masks(
    masks, video="v", expression="0", frames=("a", "b"), scores=np.zeros(2, np.float32)
)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    Store(Path({str(tmp_path)!r})).write("node", "v", [sequence], "new")
except StoreError as error:
    sys.exit(0 if "cannot be written" in str(error) else 3)
sys.exit(4)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["v.masks"]


def test_stored_videos_and_nodes_are_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.nodes() == ()
    for video in ("b", "a"):
        store.write("smr", video, [a_sequence(video)], "f")
    assert store.nodes() == ("smr",)
    assert store.videos("smr") == ("a", "b")
    assert store.videos("other") == ()


def test_a_720p_frame_takes_a_hundredth_of_a_float_dump(tmp_path: Path) -> None:
    """Bounds against 3.69 MB an expression-frame: soft maps 1/100, hard masks 1/500."""
    rows, columns = np.mgrid[:720, :1280]
    masks = ((rows - 300) ** 2 / 200**2 + (columns - 500 + 40 * np.sin(rows / 9)) ** 2 / 300**2 < 1)[None]
    coarse = 4 - 6 * np.hypot(*np.mgrid[-45:45, -80:80] / 30)[None] + np.random.default_rng(0).normal(0, 0.3, (90, 160))
    soft = SoftMaps.quantise(coarse.astype(np.float32))
    sizes = []
    for maps in (None, soft):
        sequence = MaskSequence.from_masks(
            masks, video="v", expression="0", frames=("0",), scores=np.ones(1, np.float32), soft=maps
        )
        sizes.append(Store(tmp_path).write("node", "v", [sequence], "f").stat().st_size)
    assert sizes[0] < 3_690_000 / 500
    assert sizes[1] - sizes[0] < 3_690_000 / 100
