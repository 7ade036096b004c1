"""Damaged images give one clear error, whatever the damage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rvos.errors import InputError
from rvos.files.images import read_image_size
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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "LA"])
def test_other_modes_are_refused(mode: str) -> None:
    stream = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 200).save(stream, "PNG")
    else:
        Image.fromarray(NOISE).convert(mode).save(stream, "PNG")
    with pytest.raises(InputError, match=r"x\.png: image mode"):
        decode_index_map(stream.getvalue(), where="x.png")


def test_a_missing_frame_is_named(tmp_path: Path) -> None:
    video = Video("v", ("0",), (), (tmp_path / "0.jpg",))
    for read in (lambda: video.read_frame(0), video.read_size):
        with pytest.raises(InputError, match=r"0\.jpg: frame is missing"):
            read()
