"""Files: whole or absent, bounded reads."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvos.errors import InputError, StoreError
from rvos.files.atomic import append_text, hash_file, read_whole, replacing, write_atomically, write_text
from rvos.files.leftovers import name_part


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"first")

    def blocks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, blocks())
    assert (list_names(tmp_path), path.read_bytes()) == (["a"], b"first")


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    link = tmp_path / "link"
    link.symlink_to(victim)
    write_atomically(link, b"new")
    assert (victim.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"kept", b"new", False)


def test_writing_clears_old_parts(tmp_path: Path) -> None:
    old = tmp_path / name_part("b")
    old.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    write_atomically(tmp_path / "a", b"")
    assert list_names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"], ids=["NUL", "half a character"])
def test_an_impossible_name_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no name of a file"):
        write_atomically(tmp_path / name, b"")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_whole, hash_file):
        with pytest.raises(InputError, match=r"pipe: n"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize("target", ["/dev/zero", "loop"], ids=["device", "itself"])
def test_links_to_no_file_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(target)
    with pytest.raises(InputError, match="loop: "):
        read_whole(tmp_path / "loop")


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_whole(tmp_path / "a", most=5) == b"12345"
    with pytest.raises(InputError, match="5 bytes, at most 4"):
        read_whole(tmp_path / "a", most=4)


def test_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert hash_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("target", ["victim", "/dev/zero", "link"], ids=["file", "device", "itself"])
def test_text_is_not_added_through_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "link").symlink_to(target)
    for text in ("a\n", "b\n"):
        append_text(tmp_path / "link", text)
    assert ((tmp_path / "victim").read_text(), (tmp_path / "link").read_text()) == ("kept", "a\nb\n")


def test_a_file_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    before = os.umask(0o027)
    try:
        with replacing(path) as temporary:
            # As safetensors does: a file of its own that nobody else may read takes the place of ours.
            private = tmp_path / "private"
            private.touch(mode=0o600)
            private.replace(temporary)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def let_synchronising_fail(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_mount_that_cannot_synchronise_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    let_synchronising_fail(monkeypatch, number)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_disk_that_fails_to_synchronise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_synchronising_fail(monkeypatch, errno.EIO)
    with pytest.raises(StoreError, match="Input/output error"):
        write_atomically(tmp_path / "file", b"content")
    assert list_names(tmp_path) == []


def test_names_that_are_no_utf8_are_escaped_in_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_text(tmp_path / "file", name)
    append_text(tmp_path / "file", name)
    assert (tmp_path / "file").read_bytes() == rb"caf\udce9caf\udce9"
