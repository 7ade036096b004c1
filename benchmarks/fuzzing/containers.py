"""Binary files that are right but for a part: images, archives, arrays, pickles, tensors, clips."""

from __future__ import annotations

import io
import json
import pickletools
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from random import Random

from benchmarks.fuzzing.values import SPOILERS as TEXT_SPOILERS
from benchmarks.fuzzing.values import TEXTS, Spoil, replace_all, spoil_bytes, spoil_json, strange

_PNG = b"\x89PNG\r\n\x1a\n"
_SIDES = (0, 1, 2, 31, 32, 33, 48, 49, 30_000, 60_000, 2**31 - 1, 2**31, 2**32 - 1)
_CHUNKS = (
    b"PLTE",
    b"tRNS",
    b"gAMA",
    b"iCCP",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"IDAT",
    b"IEND",
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_PARTS = (
    "Annotations",
    "__MACOSX",
    "..",
    "",
    "a\\b",
    "x" * 300,
    "ü",
    "v1",
    "0",
    "00000.png",
    "C:",
    "\u202e",
    "\x1b[31m",
)
_TYPES = ("<f4", "<f2", "<f8", "|b1", "|u1", "|O", "<U9", "<U0", ">f4", "<c8", "<i8", "<M8[s]", "|V3", "|S0", "x")
_AXES = (0, 1, 2, 3, 32, 48, -1, 2**31, 2**40, 3 * 10**18, 2**62, 2**63)
_OPCODES = (
    *(bytes([code]) for code in b"(}])tusaeRbQ02\x85\x86\x87\x93\x94\x81"),
    *(
        b"q\0",
        b"h\0",
        b"r\xff\xff\xff\x0f",
        b"j\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"I99999999999\n",
        b"\x8a\xff" * 9,
    ),
    *(
        b"\x8e" + b"\xff" * 7 + b"\x7f",
        b"X\x03\0\0\0abc",
        b"K\1",
        b"J\xff\xff\xff\xff",
        b"G\x7f\xf8" + bytes(6),
        b"N",
        b"\x88",
    ),
    *(b"cos\nsystem\n(X\x0d\0\0\0touch was_runtR", b"cposix\nmkdir\n(X\x07\0\0\0was_runtR", b"cbuiltins\neval\n"),
    *(b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n"),
    *(
        b"cnumpy\ndtype\n",
        b"cnumpy\nndarray\n",
        b"cnumpy.core.multiarray\nscalar\n",
        b"cnumpy._core.multiarray\n_reconstruct\n",
    ),
    *(b"ccollections\nOrderedDict\n", b"ccollections\ndefaultdict\n", b"c_codecs\nencode\n", b"cargparse\nNamespace\n"),
)


def spoil_png(content: bytes, random: Random) -> bytes:
    """Return a PNG file whose chunks are changed, their checksums right."""
    chunks = _split_png(content)
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(chunks)) if chunks else 0
        kind = random.randrange(8)
        if kind < 2 and chunks and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13:
            chunks[0] = (b"IHDR", _spoil_header(chunks[0][1], random))
        elif kind == 2 and chunks:
            del chunks[at]
        elif kind == 3 and chunks:
            chunks.insert(at, random.choice(chunks))
        elif kind == 4:
            chunks.insert(at, (random.choice(_CHUNKS), random.randbytes(random.choice((0, 1, 6, 26, 768)))))
        elif kind == 5 and chunks:
            name, inner = chunks[at]
            chunks[at] = (name, spoil_bytes(inner, random))
        elif chunks:
            name, inner = chunks[at]
            if name == b"IDAT":
                chunks[at] = (name, zlib.compress(_spoil_rows(inner, random)))
    return _PNG + b"".join(
        struct.pack(">I", len(inner)) + name + inner + struct.pack(">I", zlib.crc32(name + inner))
        for name, inner in chunks
    )


def _split_png(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _spoil_header(header: bytes, random: Random) -> bytes:
    fields = list(struct.unpack(">IIBBBBB", header))
    at = random.randrange(len(fields))
    fields[at] = random.choice(_SIDES) if at < 2 else random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return struct.pack(">IIBBBBB", *fields)


def _spoil_rows(packed: bytes, random: Random) -> bytes:
    try:
        rows = zlib.decompress(packed)
    except zlib.error:
        rows = packed
    return random.choice((spoil_bytes(rows, random), rows * 2, b"", bytes(1 << 22)))


def spoil_zip(content: bytes, random: Random) -> bytes:
    """Return an archive whose members are renamed, doubled, left out, packed otherwise, or spoilt themselves."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return spoil_bytes(content, random)
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, *_METHODS))
    for _ in range(random.choice((1, 1, 1, 2))):
        if not members:
            break
        at = random.randrange(len(members))
        name, inner = members[at]
        kind = random.randrange(10)
        if kind < 5:
            members[at] = (name, spoil_by_name(name, inner, random))
        elif kind == 5:
            del members[at]
        elif kind == 6:
            members.append((name, inner))
        elif kind == 7:
            parts = name.split("/")
            parts[random.randrange(len(parts))] = random.choice((*_PARTS, *TEXTS))
            members[at] = ("/".join(parts), inner)
        elif kind == 8:
            members[at] = (name, bytes(1 << 25))
            method = zipfile.ZIP_DEFLATED
        else:
            members[at] = (name, members[random.randrange(len(members))][1])
    packed = _pack(members, method, random)
    return spoil_bytes(packed, random) if random.random() < 0.1 else _forge(packed, random)


def _pack(members: list[tuple[str, bytes]], method: int, random: Random) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, inner in members:
            entry = zipfile.ZipInfo(name.encode("utf-8", "replace").decode().replace("\0", "_"))  # of no date
            archive.writestr(entry, inner, compress_type=method)
        if random.random() < 0.05:
            archive.comment = random.randbytes(50)
    return stream.getvalue()


def _forge(packed: bytes, random: Random) -> bytes:
    """Return an archive whose directory tells, now and then, another size, method, flag or place."""
    if random.random() > 0.15:
        return packed
    entries = [place for place in range(len(packed) - 46) if packed[place : place + 4] == b"PK\x01\x02"]
    if not entries:
        return packed
    changed = bytearray(packed)
    field, form = random.choice(
        ((8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (38, "<I"), (42, "<I"))
    )
    value = random.choice((0, 1, 9, 12, 0xFFFF, 2**31, 2**32 - 1)) % (1 << (16 if form == "<H" else 32))
    struct.pack_into(form, changed, random.choice(entries) + field, value)
    return bytes(changed)


def spoil_npy(content: bytes, random: Random) -> bytes:
    """Return an array whose header tells another type or shape, or that holds other numbers."""
    if not content.startswith(b"\x93NUMPY") or random.random() < 0.2:
        return spoil_bytes(content, random)
    (length,) = struct.unpack_from("<H", content, 8)
    header, values = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    kind = random.randrange(5)
    if kind == 0:
        values = random.choice(
            (b"", b"\xff" * len(values), values[: len(values) // 2], values * 2, random.randbytes(99))
        )
    elif kind == 1:
        header = spoil_bytes(header.encode(), random).decode("latin-1")
    else:
        shape = tuple(random.choice(_AXES) for _ in range(random.choice((0, 1, 2, 3, 3, 4, 70))))
        order = random.choice((True, False, False))
        header = f"{{'descr': {random.choice(_TYPES)!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header.encode()) & 0xFFFF) + header.encode() + values


def spoil_pickle(content: bytes, random: Random) -> bytes:
    """Return a pickle in which opcodes are left out, doubled, exchanged or added."""
    try:
        places = [place for _, _, place in pickletools.genops(content) if place is not None]
    except Exception:
        return spoil_bytes(content, random)
    operations = [content[start:end] for start, end in zip(places, [*places[1:], places[-1] + 1], strict=True)]
    rest = content[places[-1] + 1 :]
    for _ in range(random.choice((1, 1, 2, 4))):
        at, other = random.randrange(len(operations)), random.randrange(len(operations))
        kind = random.randrange(6)
        if kind == 0 and len(operations) > 1:
            del operations[at]
        elif kind == 1:
            operations.insert(at, operations[other])
        elif kind == 2:
            operations[at], operations[other] = operations[other], operations[at]
        elif kind == 3:
            operations[at] = spoil_bytes(operations[at], random)
        else:
            operations.insert(at, random.choice(_OPCODES))
    return b"".join(operations) + rest


def spoil_safetensors(content: bytes, random: Random) -> bytes:
    """Return a file of tensors whose header tells something else."""
    (length,) = struct.unpack_from("<Q", content.ljust(8, b"\0"))
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return spoil_bytes(content, random)
    values = content[8 + length :]
    if random.random() < 0.5 and "config" in header.get("__metadata__", {}):
        config = json.loads(header["__metadata__"]["config"])
        header["__metadata__"]["config"] = spoil_json(json.dumps(config).encode(), random).decode("utf-8", "replace")
        text = json.dumps(header).encode()
    elif random.random() < 0.3:
        names = [name for name in header if name != "__metadata__"]
        name = random.choice(names)
        field = random.choice(("dtype", "shape", "data_offsets"))
        header[name][field] = random.choice(
            (strange(random), [random.choice(_AXES)] * 2, header[random.choice(names)][field])
        )
        text = json.dumps(header, default=str).encode()
    else:
        text = spoil_json(json.dumps(header).encode(), random)
    if random.random() < 0.1:
        return struct.pack("<Q", random.choice((0, 1, len(text) + 1, 2**40, 2**63, 2**64 - 1))) + text + values
    return struct.pack("<Q", len(text)) + text + (values if random.random() < 0.9 else values[: len(values) // 2])


def spoil_boxes(content: bytes, random: Random) -> bytes:
    """Return a clip whose boxes are left out, doubled or of other lengths, or whose bytes are."""
    if random.random() < 0.4:
        return spoil_bytes(content, random)
    boxes, place = [], 0
    while place + 8 <= len(content):
        length = max(struct.unpack_from(">I", content, place)[0], 8)
        boxes.append(content[place : place + length])
        place += length
    at = random.randrange(len(boxes)) if boxes else 0
    kind = random.randrange(4)
    if boxes and kind == 0:
        del boxes[at]
    elif boxes and kind == 1:
        boxes.insert(at, random.choice(boxes))
    elif boxes and kind == 2:
        boxes[at] = struct.pack(">I", random.choice((0, 1, 7, 8, 2**31, 2**32 - 1))) + boxes[at][4:]
    elif boxes:
        boxes[at] = boxes[at][:8] + spoil_bytes(boxes[at][8:], random)
    return b"".join(boxes)


SPOILERS: Mapping[str, Spoil] = {
    **TEXT_SPOILERS,
    "bytes": spoil_bytes,
    "png": spoil_png,
    "zip": spoil_zip,
    "npy": spoil_npy,
    "pickle": spoil_pickle,
    "safetensors": spoil_safetensors,
    "clip": spoil_boxes,
}
_FORMS = {
    **{f".{name}": name for name in ("json", "yaml", "csv", "png", "zip", "npy", "safetensors")},
    **{".npz": "zip", ".masks": "zip", ".pth": "zip", ".mp4": "clip", ".pkl": "pickle", ".txt": "text"},
}


def spoil_by_name(name: str, content: bytes, random: Random) -> bytes:
    """Return a file spoilt as its kind is, seldom as any file is."""
    form = _FORMS.get(PurePosixPath(name).suffix, "bytes")
    if form == "zip" and not content.startswith(b"PK"):
        form = "pickle"  # of the first torch versions
    kind = random.random()
    if kind < 0.06:
        return replace_all(content, random)
    return (spoil_bytes if kind < 0.2 else SPOILERS[form])(content, random)
