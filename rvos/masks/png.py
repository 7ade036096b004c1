"""Binary masks as PNG files, 8-bit greyscale with 0 and 255, written from runs without touching pixels.

Without row filters, the bytes of such an image are runs of 0 and of 255. Each run becomes one literal and matches that
repeat the last byte, so the compressed stream follows from the run lengths alone. One fixed Huffman table serves all
masks: a full match (258 bytes) takes two zero bits, which need no writing at all.

Source: RFC 1950 (zlib), RFC 1951 (deflate), PNG specification.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rvos.masks.runs import Runs

Integers = NDArray[np.int64]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FULL_MATCH = 258
_LITERAL_BITS = 3
_END = 256
_ADLER = 65521
_WORD = 32
# Code lengths of the symbols: the bytes 0 and 255, end of block, and the match lengths 3 to 257 and 258.
_CODE_LENGTHS = {0: 3, 255: 3} | dict.fromkeys(range(_END, 282), 7) | dict.fromkeys(range(282, 285), 6) | {285: 1}
_LENGTH_CODES = ((0, 8), (1, 4), (2, 4), (3, 4), (4, 4), (5, 4))  # (extra bits, symbols), from length 3 and symbol 257
# How the lengths above are themselves coded: symbol -> bits (18 repeats 0), and the order of the format.
_TABLE_LENGTHS = {7: 1, 3: 3, 6: 3, 18: 3, 0: 4, 1: 4}
_TABLE_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)


def encode_mask_pngs(masks: Runs) -> list[bytes]:
    """Return the PNG file of every mask of a sequence."""
    height, width = masks.size
    edges, n_bytes = _to_row_edges(masks), height * (width + 1)
    streams = _deflate(edges, masks.n_frames, n_bytes)
    sums = _adler(edges, masks.n_frames, n_bytes)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    end = _chunk(b"IEND", b"")
    return [
        b"".join((_SIGNATURE, header, _chunk(b"IDAT", b"\x78\x01" + stream + struct.pack(">I", total)), end))
        for stream, total in zip(streams, sums, strict=True)
    ]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def _to_row_edges(runs: Runs) -> Integers:
    """Return where the bytes of the images change, all frames in one line: start, end, start, end, ...

    A pixel begins or ends a run of its row where it differs from the pixel to its left: the difference of the mask and
    the mask moved by one column. In column-major order that is a shift by H, so its runs follow from sorted edges.
    """
    height, width = runs.size
    stride = height * (width + 1)
    frame = runs.starts // runs.stride
    widen = frame * (stride - runs.stride)  # each frame gets one more column, for runs that end at the right border
    edges = np.concatenate([runs.starts + widen, runs.ends + widen])
    places, n_times = np.unique(np.concatenate([edges, edges + height]), return_counts=True)
    toggles = places[(n_times & 1) == 1]
    lengths = toggles[1::2] - toggles[0::2]
    before = np.cumsum(lengths) - lengths
    points = np.repeat(toggles[0::2] - before, lengths) + np.arange(int(lengths.sum()))
    frame, inside = np.divmod(points, stride)
    column, row = np.divmod(inside, height)
    return np.sort(frame * stride + row * (width + 1) + column) + 1


def _adler(edges: Integers, n_frames: int, n_bytes: int) -> list[int]:
    """Return the Adler-32 sum of every image from its runs of 255."""
    frame = edges[0::2] // n_bytes
    start, end = edges[0::2] - frame * n_bytes, edges[1::2] - frame * n_bytes
    length = end - start
    # float64 sums of whole numbers below 2^53 are exact
    area = np.bincount(frame, length, n_frames).astype(np.int64)
    weighted = np.bincount(frame, length * n_bytes - (start + end - 1) * length // 2, n_frames).astype(np.int64)
    low, high = (1 + 255 * area) % _ADLER, (n_bytes + 255 * (weighted % _ADLER)) % _ADLER
    return (high << 16 | low).tolist()


def _deflate(edges: Integers, n_frames: int, n_bytes: int) -> list[bytes]:
    """Return the deflate stream of every image."""
    codes = _codes()
    lengths, value, frame = _split_runs(edges, n_frames, n_bytes)
    full, rest = np.divmod(lengths - 1, _FULL_MATCH)
    n_bits = _LITERAL_BITS + 2 * full + codes.rest_bits[value, rest]
    per_frame = np.bincount(frame, n_bits, n_frames).astype(np.int64) + codes.header_bits + _CODE_LENGTHS[_END]
    first_word = np.concatenate(([0], np.cumsum(-(-per_frame // _WORD))))
    before = np.cumsum(n_bits) - n_bits
    first_run = np.searchsorted(frame, np.arange(n_frames))
    start = before - before[first_run][frame] + first_word[frame] * _WORD + codes.header_bits
    header = first_word[:-1, None] * _WORD + codes.header_places
    end = first_word[:-1] * _WORD + per_frame - _CODE_LENGTHS[_END]
    words = _write_bits(
        np.concatenate([start, start + _LITERAL_BITS + 2 * full, header.ravel(), end]),
        np.concatenate(
            [
                codes.literals[value],
                codes.rests[value, rest],
                np.tile(codes.header_pieces, n_frames),
                np.full(n_frames, codes.end),
            ]
        ),
        int(first_word[-1]),
    )
    stream = words.tobytes()
    starts = (first_word[:-1] * (_WORD // 8)).tolist()
    sizes = (-(-per_frame // 8)).tolist()
    return [stream[at : at + size] for at, size in zip(starts, sizes, strict=True)]


def _split_runs(edges: Integers, n_frames: int, n_bytes: int) -> tuple[Integers, Integers, Integers]:
    """Return length, value (0 or 1) and frame of all runs; every image starts with a run of 0."""
    frames = np.arange(n_frames) * n_bytes
    ends = np.searchsorted(edges, frames + n_bytes, side="right")
    ends -= (ends - np.concatenate(([0], ends[:-1]))) & 1  # an edge on the border of two frames belongs to both sides
    starts = np.concatenate(([0], ends[:-1]))
    bounds = np.insert(edges, np.stack([starts, ends], 1).ravel(), np.stack([frames, frames + n_bytes], 1).ravel())
    lengths = np.diff(bounds)
    kept = np.flatnonzero(lengths)
    return lengths[kept], kept & 1, bounds[kept] // n_bytes


def _write_bits(places: Integers, codes: Integers, n_words: int) -> NDArray[np.uint32]:
    """Return words with the codes (at most 20 bits) at their bit places; codes do not overlap."""
    word = places // _WORD
    moved = codes << (places - word * _WORD)
    low = np.bincount(word, (moved & 0xFFFFFFFF).astype(np.float64), n_words)
    spilled = np.flatnonzero(moved >> _WORD)
    low += np.bincount(word[spilled] + 1, (moved[spilled] >> _WORD).astype(np.float64), n_words)
    return low.astype("<u4")


@dataclass(frozen=True, slots=True, eq=False)
class _Codes:
    """Bit patterns as they are written, least significant bit first.

    Args:
        literals: of the bytes 0 and 255, `(2,)`.
        rests, rest_bits: what follows the full matches of a run, and its bits, `(2, 258)`.
        header_pieces, header_places: block header in pieces of 16 bits.
    """

    literals: Integers
    rests: Integers
    rest_bits: Integers
    end: int
    header_pieces: Integers
    header_places: Integers
    header_bits: int


@cache
def _codes() -> _Codes:
    patterns = _assign_codes(_CODE_LENGTHS)
    literals = [patterns[0], patterns[255]]
    rests, bits = np.zeros((2, _FULL_MATCH), np.int64), np.zeros((2, _FULL_MATCH), np.int64)
    for value, literal in enumerate(literals):
        rests[value, 1:3] = literal, literal | literal << _LITERAL_BITS
        bits[value, 1:3] = _LITERAL_BITS, 2 * _LITERAL_BITS
        for length in range(3, _FULL_MATCH):
            symbol, extra, n_extra = _find_length_code(length)
            n_code = _CODE_LENGTHS[symbol]
            rests[value, length] = patterns[symbol] | extra << n_code
            bits[value, length] = n_code + n_extra + 1  # the distance code of 1 is a single zero bit
    header, n_header = _describe_table()
    places = np.arange(0, n_header, 16)
    pieces = np.array([header >> int(place) & 0xFFFF for place in places])
    return _Codes(np.array(literals), rests, bits, patterns[_END], pieces, places, n_header)


def _find_length_code(length: int) -> tuple[int, int, int]:
    """Return (symbol, extra value, extra bits) of a match length from 3 to 257."""
    symbol, base = 257, 3
    for n_extra, n_symbols in _LENGTH_CODES:
        index, extra = divmod(length - base, 1 << n_extra)
        if index < n_symbols:
            return symbol + index, extra, n_extra
        symbol, base = symbol + n_symbols, base + (n_symbols << n_extra)
    raise ValueError(f"match length {length} is outside 3 to 257")


def _assign_codes(lengths: dict[int, int]) -> dict[int, int]:
    """Return the canonical Huffman code of each symbol, its bits reversed as they are written."""
    codes: dict[int, int] = {}
    code, previous = 0, 0
    for symbol, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        code <<= length - previous
        codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
        code, previous = code + 1, length
    return codes


def _describe_table() -> tuple[int, int]:
    """Return the block header: a last block with its own codes, and how many bits it has."""
    fields = [(1, 1), (2, 2), (285 - _END, 5), (0, 5), (len(_TABLE_ORDER) - 4, 4)]
    fields += [(_TABLE_LENGTHS.get(symbol, 0), 3) for symbol in _TABLE_ORDER]
    patterns = _assign_codes(_TABLE_LENGTHS)

    def code(symbol: int) -> tuple[int, int]:
        return patterns[symbol], _TABLE_LENGTHS[symbol]

    fields += [code(_CODE_LENGTHS[0]), code(18), (138 - 11, 7), code(18), (254 - 138 - 11, 7)]
    fields += [code(_CODE_LENGTHS[symbol]) for symbol in range(255, 286)]
    fields.append(code(1))  # the only distance code
    header, n_bits = 0, 0
    for value, width in fields:
        header |= value << n_bits
        n_bits += width
    return header, n_bits
