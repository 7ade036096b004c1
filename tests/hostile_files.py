"""Files that no reader should trust, written in place of good ones; each kind stands for many."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

Spoil = Callable[[Path], None]


def large_png(height: int, width: int) -> bytes:
    """Return a small file whose header promises `height` x `width` grey pixels."""
    row = zlib.compress(bytes(1 << 16), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", row) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def large_jpeg(height: int, width: int) -> bytes:
    """Return the header of a JPEG of `height` x `width` pixels, and nothing behind it."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + b"\xff\xd9"


def eps(witness: Path) -> bytes:
    """Return a PostScript file that would write `witness` if anything ran it."""
    return (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 32\n%%EndComments\n"
        + f"({witness}) (w) file closefile\nshowpage\n".encode()
    )


def _write(content: bytes) -> Spoil:
    return lambda path: path.write_bytes(content) and None


KINDS: Mapping[str, Spoil] = {
    "empty": lambda path: path.write_bytes(b"") and None,
    "web page": _write(b"<!DOCTYPE html><html><body>Not found</body></html>"),
    "pointer of Git LFS": _write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "zeros": _write(bytes(4096)),
    "PostScript": lambda path: path.write_bytes(eps(path.parent / "was_run")) and None,
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "PNG of 30,000 squared": _write(large_png(30_000, 30_000)),
    "PNG of 60,000 squared": _write(large_png(60_000, 60_000)),
    "PNG of 2^31 squared": _write(large_png(2**31 - 1, 2**31 - 1)),
    "JPEG of 65,000 squared": _write(large_jpeg(65_000, 65_000)),
    "bitmap of 2^31 squared": _write(
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
}


def put(kind: str, path: Path) -> None:
    """Write a kind of file in place of a good one."""
    path.unlink()
    KINDS[kind](path)
