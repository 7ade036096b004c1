"""Damaged images give one clear error, whatever the damage."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rvos.errors import InputError
from rvos.files.images import decode_frame, read_image_size
from rvos.masks.mask_images import decode_index_map, decode_with_mode
from rvos.videos import Video

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encode(kind: str) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(NOISE) if kind == "JPEG" else Image.fromarray(NOISE[:, :, 0])
    image.save(stream, kind)
    return stream.getvalue()


FILES = {kind: encode(kind) for kind in ("PNG", "JPEG")}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(["PNG", "JPEG"]))
def test_damage_is_decoded_or_named(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    content = bytearray(FILES[kind])
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "frame.jpg"
    path.write_bytes(content)
    video = Video("v", ("0",), (), (path,))
    reads = (
        lambda: decode_with_mode(bytes(content), where="frame.jpg"),
        lambda: read_image_size(bytes(content), where="frame.jpg"),
        lambda: video.read_frame(0),
        lambda: video.read_size(),
    )
    messages = []
    for read in reads:
        try:
            read()
        except InputError as error:
            messages.append(str(error))
    assert all("frame.jpg" in message for message in messages)


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_index_maps_keep_their_stored_values(mode: str) -> None:
    values = (NOISE[:, :, 0] > 99).astype(np.uint8) * (1 if mode == "1" else 7)
    image = Image.fromarray(values)
    if mode == "P":
        image = Image.frombytes("P", (30, 20), values.tobytes())
        image.putpalette([255, 0, 0] * 256)
    elif mode == "1":
        image = Image.fromarray(values.astype(bool))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert np.array_equal(decode_index_map(stream.getvalue(), where="x"), values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_other_modes_are_refused(mode: str) -> None:
    stream = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 200).save(stream, "PNG")
    else:
        Image.fromarray(NOISE).convert(mode).save(stream, "PNG")
    with pytest.raises(InputError, match=r"x\.png: image mode"):
        decode_index_map(stream.getvalue(), where="x.png")


def palette_mask(*colours: tuple[int, int, int], hidden: int | None = None) -> bytes:
    """Return an image in which index 1 fills the left half of index 0."""
    image = Image.frombytes("P", (4, 2), bytes([1, 1, 0, 0] * 2))
    image.putpalette([value for colour in colours for value in colour])
    return as_png(image, **({} if hidden is None else {"transparency": hidden}))


def as_png(image: Image.Image, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)  # type: ignore[arg-type]
    return stream.getvalue()


BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        pytest.param((BLACK, WHITE), [1, 1, 0, 0], id="black first"),
        pytest.param((WHITE, BLACK), [0, 0, 1, 1], id="white first"),
        pytest.param((BLACK, RED), [1, 1, 0, 0], id="a colour on black"),
        pytest.param(((7, 7, 7), BLACK), [0, 0, 7, 7], id="greys"),
        pytest.param((WHITE, RED, BLUE), [1, 1, 0, 0], id="a map of colours"),
    ],
)
def test_a_palette_is_taken_by_what_it_shows(colours: tuple[tuple[int, int, int], ...], expected: list[int]) -> None:
    assert decode_index_map(palette_mask(*colours), where="x").tolist() == [expected] * 2


@pytest.mark.parametrize("colours", [(RED, BLACK), (WHITE, RED), (RED, BLUE), (RED, BLACK, BLUE)], ids=str)
def test_a_palette_whose_background_is_not_known_is_refused(colours: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(InputError, match=r"x\.png: index 0 of the palette is not black"):
        decode_index_map(palette_mask(*colours), where="x.png")


def test_full_and_empty_masks_in_a_palette_of_one_colour() -> None:
    for colour, expected in ((BLACK, 0), (WHITE, 1)):
        image = Image.new("P", (3, 2))
        image.putpalette([*colour])
        assert (decode_index_map(as_png(image), where="x") == expected).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_in_any_channels_is_a_mask(mode: str) -> None:
    values = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)
    content = as_png(Image.fromarray(values).convert(mode))
    assert np.array_equal(decode_index_map(content, where="x"), values)


def with_opacity(grey: list[int], opacity: list[int]) -> bytes:
    bands = [Image.fromarray(np.array([row], np.uint8)) for row in (grey, grey, grey, opacity)]
    return as_png(Image.merge("RGBA", bands))


def test_transparency_over_background_changes_nothing() -> None:
    assert decode_index_map(with_opacity([255, 0, 0], [255, 0, 0]), where="x").tolist() == [[255, 0, 0]]
    assert not decode_index_map(with_opacity([0, 0, 0], [0, 0, 0]), where="x").any()
    assert decode_index_map(palette_mask(BLACK, WHITE, hidden=0), where="x").tolist() == [[1, 1, 0, 0]] * 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(with_opacity([255, 255, 255], [255, 0, 0]), id="white under what is hidden"),
        pytest.param(with_opacity([255, 0, 0], [128, 0, 0]), id="half seen"),
        pytest.param(with_opacity([0, 0, 0], [255, 0, 0]), id="a shape of opacity alone"),
        pytest.param(palette_mask(WHITE, BLACK, hidden=0), id="in a palette"),
    ],
)
def test_a_mask_that_transparency_hides_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"x\.png: .*transparency"):
        decode_index_map(content, where="x.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("alpha", [255, 254, 0])
def test_frames_that_are_transparent_somewhere_are_refused(mode: str, alpha: int) -> None:
    image = Image.new("RGBA", (4, 3), (90, 90, 90, 255))
    image.putpixel((1, 2), (90, 90, 90, alpha))
    stream = io.BytesIO()
    if mode == "P":
        flat = Image.new("P", (4, 3), 0)
        flat.putpalette([90, 90, 90] * 2)
        flat.putpixel((1, 2), 1)
        flat.save(stream, "PNG", transparency=bytes([255, alpha]))
    else:
        image.convert(mode).save(stream, "PNG")
    if alpha == 255:
        assert (decode_frame(stream.getvalue(), where="f") == 90).all()
    else:
        with pytest.raises(InputError, match="f: transparent in places"):
            decode_frame(stream.getvalue(), where="f")


def test_colours_of_16_bits_are_refused() -> None:
    # Their lower bytes, in which a mask of 0 and 1 lies, would be dropped.
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes([0, *[0, 1] * 3]))), (b"IEND", b""))
    )
    with pytest.raises(InputError, match=r"x\.png: image mode RGB of 16 bits"):
        decode_index_map(content, where="x.png")


def test_a_missing_frame_is_named(tmp_path: Path) -> None:
    video = Video("v", ("0",), (), (tmp_path / "0.jpg",))
    for read in (lambda: video.read_frame(0), video.read_size):
        with pytest.raises(InputError, match=r"0\.jpg: frame is missing"):
            read()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_a_palette_image_without_a_palette_is_named() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(6))) + chunk(b"IEND", b"")
    for read in (decode_index_map, decode_with_mode):
        with pytest.raises(InputError, match=r"^m\.png: image cannot be decoded"):
            read(content, where="m.png")


def test_a_broken_animation_is_read_as_its_first_picture_without_a_word() -> None:
    content = FILES["PNG"]
    start = content.index(b"IDAT") - 4
    animated = content[:start] + chunk(b"acTL", bytes(8)) + content[start:]
    with warnings.catch_warnings(action="error"):
        assert np.array_equal(decode_index_map(animated, where="m.png"), decode_index_map(content, where="m.png"))
