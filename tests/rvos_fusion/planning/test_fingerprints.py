"""What makes a result another one: content of frames and checkpoints, settings that count, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from small_data import write_split

import rvos_fusion.kinds.checksums
from rvos.errors import InputError
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

NETWORKS = (
    "models={soc: {runner: soc, checkpoint: soc.pth, tokenizer: words}, a: {import: png, path: members/a}}",
    "engines={e: {network: r50-aotl, checkpoint: aot.pth}}",
    "stages={one: {p: {propagate: a, engine: e}, f: {fuse: [soc, p], threshold: 1}}}",
    "submission={node: f}",
)
FRAME = Path("data/valid/JPEGImages/video1/00005.jpg")
Found = dict[str, dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    write_networks(tmp_path)
    (tmp_path / "runs").mkdir()
    return tmp_path


def write_networks(folder: Path) -> None:
    for name in ("soc.pth", "aot.pth"):
        (folder / name).write_bytes(name.encode())
    (folder / "words").mkdir()
    (folder / "words/vocab.txt").write_text("a b c")


def find(*overrides: str) -> Found:
    """Return the fingerprints of the recipe in the current folder: node -> video -> fingerprint."""
    recipe = read_recipe(Path("pipeline.yaml"), [*NETWORKS, *overrides])
    dataset = recipe.dataset.open()
    plan = make_plan(recipe, build_graph(recipe), dataset.videos)
    return {name: {task.video.id: task.fingerprint for task in tasks} for name, tasks in plan.tasks.items()}


def changed(before: Found, after: Found) -> set[tuple[str, str]]:
    return {(name, video) for name, own in before.items() for video in own if own[video] != after[name][video]}


def everything_of(*nodes: str) -> set[tuple[str, str]]:
    return {(node, video) for node in nodes for video in ("video0", "video1")}


def replace_frame(path: Path) -> None:
    """Write a frame of equal length and equal time in the place of another."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)
    assert path.stat().st_size == status.st_size


def test_a_frame_of_equal_length_is_another_frame(folder: Path) -> None:
    before = find()
    replace_frame(FRAME)
    assert changed(before, find()) == {("soc", "video1"), ("p", "video1"), ("f", "video1")}


@pytest.mark.parametrize("content", ["larger", "zeros"])
def test_an_import_is_made_again_where_frames_are_of_another_size_or_damaged(folder: Path, content: str) -> None:
    first = FRAME.with_name("00000.jpg")
    before = find()
    if content == "larger":
        Image.new("RGB", (96, 64)).save(first)
    else:
        first.write_bytes(bytes(first.stat().st_size))
    found = changed(before, find())
    assert ("a", "video1") in found
    assert ("a", "video0") not in found


def test_a_missing_frame_concerns_its_own_video_only(folder: Path) -> None:
    before = find()
    FRAME.unlink()
    assert {video for _, video in changed(before, find())} == {"video1"}


def test_a_copy_of_everything_has_the_same_fingerprints(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find()
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(folder, copy)  # with the times, which count for imported masks
    monkeypatch.chdir(copy)
    assert find("workspace=fresh") == before


CHANGES = {
    "engines.e.cache_megabytes=5": everything_of(),
    "models.soc.compile=true": everything_of(),
    "models.soc.window=5": everything_of("soc", "f"),
    "models.soc.options={short_side: 96}": everything_of("soc", "f"),
    "engines.e.flip=true": everything_of("p", "f"),
    "engines.e.long_edge=800": everything_of("p", "f"),
    "stages.one.p.key.references=2": everything_of("p", "f"),
    "stages.one.p.key.rule=steady": everything_of("p", "f"),
    "stages.one.f.threshold=2": everything_of("f"),
    "stages.one.f.weights={p: 2}": everything_of("f"),
    "groups={by: none}": everything_of("f"),
}


@pytest.mark.parametrize(("override", "expected"), CHANGES.items(), ids=list(CHANGES))
def test_settings_count_where_they_change_the_result(
    folder: Path, override: str, expected: set[tuple[str, str]]
) -> None:
    assert changed(find(), find(override)) == expected


@pytest.mark.parametrize(
    ("path", "nodes"), [("soc.pth", ("soc", "f")), ("words/vocab.txt", ("soc", "f")), ("aot.pth", ("p", "f"))]
)
def test_files_count_by_content(folder: Path, path: str, nodes: tuple[str, ...]) -> None:
    before = find()
    (folder / path).write_text("x")
    assert changed(before, find()) == everything_of(*nodes)


@contextmanager
def counting_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    read: list[Path] = []
    original = rvos_fusion.kinds.checksums.hash_file

    def hash_file(path: Path) -> str:
        read.append(path)
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr("rvos_fusion.kinds.checksums.hash_file", hash_file)
        yield read


def test_a_workspace_is_not_made_for_the_cache(folder: Path) -> None:
    find("workspace=elsewhere")
    assert not (folder / "elsewhere").exists()


def test_no_file_is_read_twice_until_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with counting_reads(monkeypatch) as read:
        find()
    assert len(read) == len(set(read)) == 2 * 3 + 3  # frames of two videos, two checkpoints, one vocabulary
    with counting_reads(monkeypatch) as read:
        find()
    assert read == []
    replace_frame(FRAME)
    with counting_reads(monkeypatch) as read:
        find()
    assert [path.name for path in read] == [FRAME.name]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"x": 1}', b'{"x": [1, 2, 3]}', b"\xff", b"[" * 1000])
def test_a_damaged_cache_is_made_again(folder: Path, content: bytes) -> None:
    before = find()
    (folder / "runs/checksums.json").write_bytes(content)
    assert find() == before


def test_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing"):
        with pytest.raises(InputError, match=f"{name}: no such file"):
            Checksums(tmp_path).get(tmp_path / name)


def test_a_folder_counts_by_names_and_content_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "model/part").mkdir(parents=True)
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "model/part/x").write_text("1")
    first = Checksums(tmp_path).get(tmp_path / "model")
    (tmp_path / "model/part/x").write_text("2")
    second = Checksums(tmp_path).get(tmp_path / "model")
    (tmp_path / "model/part/x").rename(tmp_path / "model/part/y")
    assert len({first, second, Checksums(tmp_path).get(tmp_path / "model")}) == 3
