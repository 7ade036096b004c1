"""Damaged and hostile checkpoints: one line that names the file, nothing executed, no memory taken on their word."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from runners.checkpoints.loading import build_network, read_checkpoint, read_network_config
from runners.networks.soc.checkpoints import load_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from rvos.errors import CheckpointError, PipelineError
from rvos.files.pickles import RefusedError, StandIn, read_pickle
from rvos.files.tensor_files import SEQUENCE_START


def linear_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def object_array() -> bytes:
    """Return a pickle of an array whose bytes are taken for addresses of objects."""
    address = named("_codecs", "encode") + b"(" + text("A" * 8) + text("latin1") + b"tR"
    kind = named("numpy", "dtype") + b"(" + text("O8") + b"K\x00K\x01tR"
    return b"\x80\x02}" + text("a") + named("numpy", "ndarray") + b"(K\x01\x85" + kind + address + b"tRs."


def in_archive(content: bytes, records: dict[str, bytes] | None = None, *, packed: bool = False) -> Callable[..., None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
            archive.writestr("a/data.pkl", content)
            for name, record in (records or {}).items():
                archive.writestr(f"a/{name}", record)

    return write


def with_bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def saved(content: Any, *, zipped: bool = True) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path, _use_new_zipfile_serialization=zipped)


def sequence_of(n_values: int) -> bytes:
    """Return an old torch file that claims a storage of `n_values`."""
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu")
    storage += b"\x8a\x08" + struct.pack("<q", n_values) + b"NtQ"
    tensor = named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + b"K\x00K\x01\x85K\x01\x85\x89}tR"
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    return b"".join(parts) + b"\x80\x02}" + text("w") + tensor + b"s." + pickle.dumps(["0"], 2)


def zipped(name: str) -> Callable[[Path], None]:
    """Return a writer of a zip archive of one file."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"weights")

    return write


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (with_bytes(b""), "an empty file"),
    "web page": (with_bytes(b"\n<!DOCTYPE html><html>Sign in</html>"), "a web page"),
    "lfs pointer": (with_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git-LFS pointer"),
    "error message": (with_bytes(b'{"error": "quota"}'), "JSON text"),
    "tar": (with_bytes(bytes(257) + b"ustar"), "packed with tar"),
    "zip around it": (zipped("weights/network.pth"), "a zip archive around weights/network.pth.*unpack it"),
    "index of parts": (with_bytes(b'{"weight_map": {}}'), "the index of weights that lie in several parts"),
    "gzip": (with_bytes(b"\x1f\x8b\x08\x00"), "packed with gzip"),
    "noise": (with_bytes(b"\x00\x01\x02" * 100), "neither a torch nor a safetensors file"),
    "object array": (in_archive(object_array()), "refused.*array of type 'O8'"),
    "large object number": (with_bytes(b"\x80\x02Nr\xff\xff\xff\x0f."), "damaged.*object 268435455"),
    "large claim": (with_bytes(sequence_of(2**40)), "damaged.*more than the file"),
    "negative claim": (with_bytes(sequence_of(-1)), "damaged.*storage of length -1"),
    "packed records": (in_archive(b"\x80\x02}." + b" " * 10000, packed=True), "damaged.*is packed"),
    "expanded": (saved({"w": torch.zeros(1).expand(10**6, 10**6)}), "refused.*expanded tensor"),
    "overlapping": (saved({"w": torch.zeros(8).as_strided((5, 4), (1, 1))}), "refused.*expanded tensor"),
    "sparse": (saved({"w": torch.eye(3).to_sparse()}), "refused.*_rebuild_sparse_tensor"),
    "meta": (saved({"w": torch.zeros(3, device="meta")}), "refused.*meta"),
    "quantised": (
        saved({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}),
        "refused.*(QInt8|_rebuild_qtensor)",
    ),
    "complex": (saved({"w": torch.ones(3, dtype=torch.complex64)}), "refused.*ComplexFloat"),
    "whole module": (saved(torch.nn.Linear(2, 2)), "refused.*Linear"),
    "number as key": (saved({3: torch.ones(1)}), "no state dict, 3 is no parameter's name"),
    "line break in a key": (saved({"a\nb": torch.ones(1)}), r"'a\\nb' is no parameter's name"),
    "list in the state": (saved({"model": {"w": [1.0]}}), "no state dict under model, w is a list"),
    "nested state": (saved({"model": {"w": {"v": torch.ones(1)}}}), "w is a mapping"),
    "bare tensor": (saved(torch.ones(2)), "holds a tensor"),
    "list": (saved([1, 2]), "holds a list"),
    "empty state": (saved({"model": {}}), "its state dict is empty"),
    "no torch record": (in_archive(b"\x80\x02}" + text("w") + b"K\x01s."), "w is a whole number"),
    "endless text": (
        with_bytes(SEQUENCE_START + b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little")),
        "damaged.*longer than the file",
    ),
    "big-endian": (in_archive(b"\x80\x02}.", {"byteorder": b"big"}), "damaged.*big-endian"),
    "program": (in_archive(b"\x80\x02}.", {"constants.pkl": b""}), "refused.*TorchScript"),
    "same values many times": (
        lambda path: torch.save(dict.fromkeys(map(str, range(100)), torch.zeros(10**5)), path),
        "again and again",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_line_names_the_file_and_what_it_is(tmp_path: Path, name: str) -> None:
    write, message = HOSTILE[name]
    path = tmp_path / "network.pth"
    write(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "device.pth").symlink_to("/dev/zero")
    (tmp_path / "loop.pth").symlink_to("loop.pth")
    for name, message in (("pipe", "pipe or device"), ("device", "pipe or device"), ("loop", "cannot be read")):
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / f"{name}.pth")
    with pytest.raises(CheckpointError, match="a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / ("n" * 300))


def test_a_flipped_bit_in_a_tensor_is_found(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save({"w": torch.full((64,), 1.5)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 1.5) * 8) + 5] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="fails its checksum"):
        read_checkpoint(path)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_any_precision_loads_with_its_values(tmp_path: Path, kind: torch.dtype, *, zipped: bool) -> None:
    path = tmp_path / "network.pth"
    state = {name: value.to(kind) for name, value in linear_state().items()} | {"turned": torch.ones(4, 2).to(kind).T}
    torch.save({"model": state}, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path).state
    assert all(found[name].dtype == kind and torch.equal(found[name], value) for name, value in state.items())


def test_a_pickle_cannot_change_what_answers_for_its_classes() -> None:
    stand_in = StandIn(len)
    change = b"\x80\x02" + named("a", "b") + b"N}" + text("_function") + b"Ns\x86b."
    with pytest.raises(RefusedError, match="change"):
        read_pickle(io.BytesIO(change), {("a", "b"): stand_in})
    assert stand_in("abc") == 3


def _tiny(path: Path, kind: str) -> bytes:
    state = linear_state()
    if kind == "safetensors":
        save_file(state, path, metadata={"rvos_network": "soc", "config": "{}"})
    elif kind == "pkl":
        path.write_bytes(pickle.dumps({"model": {name: value.numpy() for name, value in state.items()}}, 2))
    else:
        torch.save({"model": state, "epoch": np.float64(1)}, path, _use_new_zipfile_serialization=kind == "pth")
    return path.read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["pth", "tar", "pkl", "safetensors"]))
def test_changed_bytes_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    path = tmp_path / f"network.{kind}"
    content = bytearray(_tiny(path, kind))
    for _ in range(data.draw(st.integers(1, 3))):
        # Old containers hold addresses, so the file's length differs from run to run; the draws must not.
        content[data.draw(st.integers(0, 1 << 20)) % len(content)] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, 1 << 20)) % len(content)]
    path.write_bytes(content)
    _reads_or_explains(path)


PICKLED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.just("model"), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(np.full, st.integers(0, 3), st.sampled_from([1, 1.5, True, "a", b"b", None]))
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=PICKLED, protocol=st.integers(0, 5), container=st.sampled_from(["pkl", "zip"]))
def test_whatever_is_pickled_is_read_or_refused(tmp_path: Path, content: Any, protocol: int, container: str) -> None:
    path = tmp_path / "network.pkl"
    pickled = pickle.dumps(content, protocol)
    (with_bytes(pickled) if container == "pkl" else in_archive(pickled))(path)
    _reads_or_explains(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), start=st.sampled_from([b"", b"\x80\x02", b"\x80\x02}", b"\x80\x02cnumpy\n"]))
def test_any_opcodes_are_read_or_refused(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(start + content)
    _reads_or_explains(path)


def _reads_or_explains(path: Path) -> None:
    try:
        message = str(read_checkpoint(path).path)
    except CheckpointError as error:
        message = str(error)
    assert message.startswith(str(path))
    assert "\n" not in message


SMALL = dataclasses.asdict(
    SOCConfig(
        backbone=dataclasses.replace(SOCConfig().backbone, width=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2)),
        text=dataclasses.replace(SOCConfig().text, vocab_size=20, hidden=8, layers=1, heads=2, intermediate=8),
        channels=32,
        heads=4,
        queries=2,
        feedforward=8,
        encoder_layers=1,
        decoder_layers=1,
        voc_encoder_layers=1,
        voc_decoder_layers=1,
        pyramid_widths=(8, 8, 8, 8, 8),
    )
)


def _places(values: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, tuple) else ()
    return [found for key, value in entries for found in [(*place, key), *_places(value, (*place, key))]]


def _changed(values: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = dict(values) if isinstance(values, dict) else list(values)
    changed[place[0]] = _changed(changed[place[0]], place[1:], value)
    return changed


@pytest.mark.parametrize("value", [10**9, -1, 1.5, "x", None], ids=str)
@pytest.mark.parametrize("place", _places(SMALL), ids=lambda place: ".".join(map(str, place)))
def test_stated_sizes_are_checked_before_anything_is_built(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    path = tmp_path / "network.safetensors"
    config = json.dumps(_changed(SMALL, place, value))
    save_file({"w": torch.zeros(2)}, path, metadata={"rvos_network": "soc", "config": config})
    with pytest.raises(PipelineError) as caught:
        load_soc(read_checkpoint(path))
    assert str(caught.value).startswith(str(path))


def test_a_network_that_the_file_cannot_hold_is_not_built(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"states a network of .* values, but holds 2"):
        build_network(lambda: SOC(SOCConfig()), read_checkpoint(path))


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 10**5, '{"a": ' + "9" * 5000 + "}"], ids=lambda text: text[:5])
def test_a_damaged_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "network.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata={"rvos_network": "soc", "config": text})
    with pytest.raises(CheckpointError, match="network configuration"):
        read_network_config(read_checkpoint(path))
