"""The store: exact round trips, one clear error for anything that is not a whole file of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import InputError, StoreError
from rvos.ids import escape_path, unescape_path
from rvos.masks.detections import VideoProposals
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.mask_sequences import MaskSequence, SoftMaps
from rvos.masks.stored import MASK_SEQUENCES, PROPOSALS, container
from rvos.masks.stored.index import name_result
from rvos.masks.stored.store import Store

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
AN_ENTRY = {"id": "0", "key_frame": None, "soft": None, "propagation": False, "scored": True}
IDS = st.from_regex(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,12}", fullmatch=True)


@st.composite
def videos(draw: st.DrawFn) -> list[MaskSequence]:
    """Sequences of one video: any number of expressions, frames and pixels, with or without soft maps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.tuples(st.integers(1, 4), st.integers(1, 21), st.integers(1, 19))))
    video = draw(IDS)
    kept = [
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
    return [
        replace(
            one,
            propagation=draw(st.sampled_from([None, np.abs(one.scores)])),
            scored=draw(st.booleans()),
            presence=draw(st.sampled_from([None, np.full(one.n_frames, 0.25, np.float32)])),
            queries=draw(st.sampled_from([None, FrameQueries(0, one.runs[:1] * 3, np.full(3, 0.5, np.float32))])),
        )
        for one in kept
    ]


def is_same(found: Sequence[MaskSequence], expected: Sequence[MaskSequence]) -> bool:
    """Compare everything that a sequence holds."""
    return [content(one) for one in found] == [content(one) for one in expected]


def content(one: MaskSequence) -> list[object]:
    soft = None if one.soft is None else [one.soft.values.tolist(), one.soft.low, one.soft.high, one.soft.kind]
    propagation, presence = (None if own is None else own.tolist() for own in (one.propagation, one.presence))
    names = [one.video, one.expression, one.frames, one.size]
    queries = one.queries and [one.queries.frame, one.queries.runs, one.queries.scores.tolist()]
    return [*names, one.runs, one.scores.tolist(), one.key_frame, one.scored, soft, propagation, presence, queries]


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
    result = store.read("node", video, "f", queries=True)
    assert is_same(result, sequences)
    # What makes new masks of these must not hand the queries on.
    bare = [replace(one, queries=None) for one in sequences]
    assert is_same(store.read("node", video, "f"), bare)
    assert is_same(store.read_artefact("node", video, "f", codec=MASK_SEQUENCES), bare)


@QUICK
@given(st.data())
def test_one_changed_bit_is_noticed_or_changes_nothing(tmp_path: Path, data: st.DataObject) -> None:
    """Only what nobody reads may change: dates and rights in the directory of the archive."""
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        found = store.read("node", "v", "f")
    except StoreError as error:
        assert "v.masks" in str(error)  # noqa: PT017
    else:
        assert is_same(found, [a_sequence()])


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
@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes, ends_like_ours: bool) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [], "f")
    path.write_bytes(content + (path.read_bytes() if ends_like_ours else b""))
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
        {"expressions": []},
        {"expressions": 7},
        {"expressions": [AN_ENTRY | {"key_frame": 7}]},
        {"expressions": [AN_ENTRY | {"key_frame": "x"}]},
        {"expressions": [AN_ENTRY | {"propagation": True}]},
        {"expressions": [AN_ENTRY | {"presence": True}]},
        {"expressions": [AN_ENTRY, AN_ENTRY]},
        {"expressions": [AN_ENTRY | {"soft": [90, 160, -8.0, 8.0, "logit"]}]},
        {"expressions": [AN_ENTRY | {"soft": [-2, -3, -8.0, 8.0, "logit"]}]},
        {"expressions": [AN_ENTRY | {"soft": [2, 3, -8.0, 8.0, "energy"]}]},
        {"expressions": [AN_ENTRY | {"soft": [2, 3, "a", 8.0, "logit"]}]},
        {"size": [100_000, 100_000]},
        {"artefact": "boxes"},
        {"format": 3},
        {"node": "other"},
        {"video": "other"},
    ],
    ids=str,
)
def test_a_forged_description_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["description.json"])
    for name, value in change.items():
        (description if name in description else description["content"])[name] = value
    members["description.json"] = json.dumps(description).encode()
    write_members(path, members)
    with pytest.raises(StoreError, match=r"v\.masks"):
        store.read("node", "v")


def write_members(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Write an archive in the form of ours with other content."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, method)


def test_another_fingerprint_is_another_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("node", "v", [a_sequence()], "old")
    assert store.has("node", "v", "old")
    assert not store.has("node", "v", "new")
    with pytest.raises(StoreError, match="other settings"):
        store.read("node", "v", "new")


def test_results_of_several_settings_lie_side_by_side(tmp_path: Path) -> None:
    store, other = Store(tmp_path), a_sequence("v", "other")
    first = store.write("node", "v", [a_sequence()], "old")
    store.write("node", "v", [other], "new")
    assert is_same(store.read("node", "v", "old"), [a_sequence()])
    assert is_same(store.read("node", "v", "new"), [other])
    # Without a recipe at hand, what was made last counts, until another is made current.
    assert is_same(store.read("node", "v"), [other])
    store.make_current({("node", "v"): name_result("old")})
    assert store.path("node", "v") == first
    assert [file.name for file in store.files()] == ["old", "new"]
    assert (store.nodes(), store.videos("node")) == (("node",), ("v",))


def test_without_a_current_result_the_newest_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, new = (store.write("node", "v", [a_sequence()], name) for name in ("old", "new"))
    os.utime(old, (1, 1))
    (tmp_path / "current.csv").unlink()
    assert store.path("node", "v") == new
    store.make_current({("node", "v"): "gone"})
    assert store.path("node", "v") == new


def test_a_result_of_before_is_read_where_it_lies(tmp_path: Path) -> None:
    """Once there was one file a node and video, and no index; the first result lies there still."""
    store, before = Store(tmp_path), tmp_path / "nodes/node/v.masks"
    assert store.write("node", "v", [a_sequence()], "old") == before
    (tmp_path / "current.csv").unlink()
    assert store.videos("node") == ("v",)
    for fingerprint in ("old", None):
        assert store.path("node", "v", fingerprint) == before
        assert is_same(store.read("node", "v", fingerprint), [a_sequence()])
    assert not store.has("node", "v", "new")
    with pytest.raises(StoreError, match="other settings"):
        store.read("node", "v", "new")
    store.write("node", "v", [], "new")
    assert store.has("node", "v", "new")
    assert is_same(store.read("node", "v", "old"), [a_sequence()])
    store.make_current({("node", "v"): "old"})
    assert store.path("node", "v") == before
    assert [(file.name, file.path) for file in store.files()] == [
        ("old", before),
        ("new", store.path("node", "v", "new")),
    ]


def test_a_damaged_first_result_is_written_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.write("node", "v", [a_sequence()], "f")
    first.write_bytes(b"spoilt")
    assert store.write("node", "v", [a_sequence()], "f") == first
    assert [file.path for file in store.files()] == [first]


def test_a_result_of_other_settings_comes_back_to_its_own_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    places = [store.write("node", "v", [a_sequence()], name) for name in ("old", "new", "old", "new")]
    assert places[:2] == places[2:]
    places[0].unlink()
    assert store.write("node", "v", [a_sequence()], "new") == places[1]


def test_soft_maps_can_stay_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("node", "v", [a_sequence()], "f")
    assert store.read("node", "v", soft=False)[0].soft is None
    assert store.read("node", "v")[0].soft is not None


def test_the_same_sequences_give_the_same_bytes(tmp_path: Path) -> None:
    first = Store(tmp_path / "a").write("node", "v", [a_sequence()], "f").read_bytes()
    assert Store(tmp_path / "b").write("node", "v", [a_sequence()], "f").read_bytes() == first


@pytest.mark.parametrize("video", ["../../x", "/etc/x", "a/../b", "a//b", "", ".", ".x", "a\nb", "a\\b", "x" * 300])
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
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
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
    assert [entry.name for entry in path.parent.rglob("*.*")] == ["v.masks"]


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


def test_a_result_of_the_first_format_is_to_be_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    path.write_bytes(b"RVOSMASK" + bytes(100))
    with pytest.raises(StoreError, match=r"format version 1, expected 2; run the node again"):
        store.read("node", "v")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["in the part", "in the archive"])
def test_what_unpacks_to_more_than_a_result_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int
) -> None:
    store = Store(tmp_path)
    path = store.write("node", "v", [a_sequence()], "f")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    write_members(path, members | {"runs": zlib.compress(bytes(1 << 21), 9)}, method)
    monkeypatch.setattr(container, "LARGEST_RESULT", 1 << 20)
    with pytest.raises(StoreError, match=r"v\.masks: damaged"):
        store.read("node", "v")


def test_parts_over_each_other_are_refused(tmp_path: Path) -> None:
    path = Store(tmp_path).write("node", "v", [a_sequence()], "f")
    with zipfile.ZipFile(path) as archive:
        first, second = archive.infolist()[1:3]
    content = path.read_bytes()
    path.write_bytes(
        content.replace(second.header_offset.to_bytes(4, "little"), first.header_offset.to_bytes(4, "little"))
    )
    with pytest.raises(StoreError, match=r"v\.masks: damaged"):
        Store(tmp_path).read("node", "v")


@pytest.mark.parametrize(
    "target", ["/dev/zero", "f.masks", "../../../../out.masks"], ids=["device", "itself", "outside"]
)
def test_a_link_out_of_the_workspace_is_not_followed(tmp_path: Path, target: str) -> None:
    store = Store(tmp_path / "ws")
    path = store.write("node", "v", [a_sequence()], "f")
    path.rename(tmp_path / "out.masks")
    path.symlink_to(target)
    assert not store.has("node", "v")
    with pytest.raises(StoreError, match=r"v\.masks: "):
        store.read("node", "v")
    before = (tmp_path / "out.masks").read_bytes()
    store.write("node", "v", [], "g")
    assert store.has("node", "v", "g")
    assert (tmp_path / "out.masks").read_bytes() == before


def test_a_folder_that_leads_out_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "ws" / "nodes").mkdir(parents=True)
    (tmp_path / "ws" / "nodes" / "node").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="leads out of the workspace"):
        Store(tmp_path / "ws").write("node", "v", [a_sequence()], "f")
    assert not list((tmp_path / "victim").iterdir())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.path("node", "v")
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(StoreError, match="no regular file"):
        store.read("node", "v")


def test_another_sort_of_artefact_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    nothing = VideoProposals("v", ("0",), (1, 1), (), ())
    store.write_artefact("node", "v", nothing, "f", codec=PROPOSALS)
    with pytest.raises(StoreError, match="holds proposals, expected mask sequences"):
        store.read("node", "v")


@given(st.lists(st.text("ab%2F/-_", min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_every_id_has_a_file_of_its_own(names: list[str]) -> None:
    files = [escape_path(name) for name in names]
    assert files[0] != files[1]
    assert all("/" not in file for file in files)
    assert [unescape_path(file) for file in files] == names


def test_a_video_whose_id_is_a_path_is_stored_and_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for video in ("LVVIS/train/-00001", "LVVIS%2Ftrain"):
        path = store.write("smr", video, [a_sequence(video)], "f")
        assert path.parent == tmp_path / "nodes/smr"
        assert store.read("smr", video, "f")[0].video == video
    assert store.videos("smr") == ("LVVIS%2Ftrain", "LVVIS/train/-00001")
