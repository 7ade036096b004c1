"""Checkpoints load whole or not at all, and run no code."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from deaot_toolkit import CheckpointError, EncoderConfig, NetworkConfig, VosNetwork, build, load, save
from deaot_toolkit.errors import ToolkitError

CONFIG_CHANGES = {"embedding_dim": 32, "heads": 2, "feed_forward_dim": 64, "max_objects": 4, "layers": 1}


@pytest.fixture(scope="module")
def network() -> VosNetwork:
    torch.manual_seed(3)
    return build("small-aot", CONFIG_CHANGES)


def write(network: VosNetwork, path: Path, *, envelope: str = "", prefix: str = "") -> Path:
    state = {prefix + name: value for name, value in network.state_dict().items()}
    torch.save({envelope: state, "optimizer": {"step": 3}} if envelope else state, path)
    return path


def same(first: VosNetwork, second: VosNetwork) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(one[0] == other[0] and torch.equal(one[1], other[1]) for one, other in pairs)


@pytest.mark.parametrize("envelope", ["state_dict", "model", ""])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_envelopes_load(network: VosNetwork, tmp_path: Path, envelope: str, prefix: str) -> None:
    path = write(network, tmp_path / "file.pth", envelope=envelope, prefix=prefix)
    assert same(load(path, network.config), network)


def test_saved_files_carry_their_configuration(network: VosNetwork, tmp_path: Path) -> None:
    save(network, tmp_path / "file.safetensors")
    loaded = load(tmp_path / "file.safetensors")
    assert loaded.config == network.config
    assert same(loaded, network)
    assert [path.name for path in tmp_path.iterdir()] == ["file.safetensors"]


def test_half_precision_files_load_as_float32(network: VosNetwork, tmp_path: Path) -> None:
    save(network, tmp_path / "file.safetensors", dtype=torch.float16)
    loaded = load(tmp_path / "file.safetensors")
    assert all(weight.dtype == torch.float32 for weight in loaded.parameters())
    torch.testing.assert_close(loaded.decoder.conv_out.weight, network.decoder.conv_out.weight, atol=1e-3, rtol=1e-3)


def test_configurations_survive_their_text_form(network: VosNetwork) -> None:
    assert NetworkConfig.from_json(network.config.to_json()) == network.config


def test_keys_of_another_network_are_listed(network: VosNetwork, tmp_path: Path) -> None:
    path = write(build("small-deaot", CONFIG_CHANGES), tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as caught:
        load(path, network.config)
    message = str(caught.value)
    assert "nothing was loaded" in message
    assert "missing: " in message
    assert "LSTT.layers.0.linear_QV.weight" in message
    assert "of another shape: " in message


def test_a_missing_key_is_named(network: VosNetwork, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["decoder.conv_out.bias"]
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"1 missing: decoder\.conv_out\.bias"):
        load(tmp_path / "file.pth", network.config)


def test_the_unused_mask_token_may_be_absent(network: VosNetwork, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["LSTT.mask_token"]
    torch.save(state, tmp_path / "file.pth")
    assert load(tmp_path / "file.pth", network.config).config == network.config


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(network: VosNetwork, tmp_path: Path, value: float) -> None:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state["encoder.stem.0.weight"][0, 0, 0, 0] = value
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in encoder\.stem\.0\.weight"):
        load(tmp_path / "file.pth", network.config)


def test_a_foreign_window_index_is_refused(tmp_path: Path) -> None:
    changes = {**CONFIG_CHANGES, "align_corners": False}
    encoder = EncoderConfig("swin", width=16, depths=(1, 1, 1), heads=(1, 2, 4), window=3)
    swin = build("small-aot", {**changes, "encoder": encoder})
    state = {name: value.clone() for name, value in swin.state_dict().items()}
    state["encoder.layers.0.blocks.0.attn.relative_position_index"] += 1
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="another index"):
        load(tmp_path / "file.pth", swin.config)


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Harmful()}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="executing code"):
        load(tmp_path / "file.pth", "aott")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="file"):
        load(path, "aott")


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"weight": 3}}, {}])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="state dict"):
        load(tmp_path / "file.pth", "aott")


def test_an_absent_file_and_an_unnamed_network_are_refused(network: VosNetwork, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(tmp_path / "nowhere.pth", "aott")
    path = write(network, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="give its name"):
        load(path)


class Named:
    """Unpickling it would name a class that no checkpoint holds."""


HOSTILE = {
    "empty": (b"", "an empty file"),
    "web page": (b"<html>Sign in</html>", "a web page"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    "large object number": (b"\x80\x02Nr\xff\xff\xff\x0f.", "object 268435455"),
    "large claim": (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2)
        + pickle.dumps(1001, 2)
        + pickle.dumps({}, 2)
        + b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + b"\x8a\x08\x00\x00\x00\x00\x00\x01\x00\x00NtQ.",
        "more values than it has bytes",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_line(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path, "small-aot")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        {"w": torch.zeros(1).expand(10**6, 10**6)},
        {"w": torch.eye(3).to_sparse()},
        {"w": torch.zeros(3, device="meta")},
        {"w": [1.0]},
        {3: torch.ones(1)},
        {"state_dict": {}},
        {"w": Named},
        [1],
    ],
    ids=["expanded", "sparse", "meta", "list", "number", "empty", "class", "no mapping"],
)
def test_what_is_no_state_of_stored_tensors_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "file.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"file\.pth"):
        load(path, "small-aot")


def test_pipes_devices_and_packed_archives_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "device.pth").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(CheckpointError, match="pipe or device"):
            load(tmp_path / f"{name}.pth", "small-aot")
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}." + b" " * 10000)
    with pytest.raises(CheckpointError, match="is packed"):
        load(tmp_path / "packed.pth", "small-aot")


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.module.", "module._orig_mod.", "module.module.", "model.", "_forward_module.net."]
)
def test_wrapped_names_load(network: VosNetwork, tmp_path: Path, prefix: str) -> None:
    path = write(network, tmp_path / "file.pth", prefix=prefix)
    assert same(load(path, network.config), network)


@pytest.mark.parametrize("envelope", ["module", "model_state_dict"])
def test_envelopes_of_trainers_load(network: VosNetwork, tmp_path: Path, envelope: str) -> None:
    path = write(network, tmp_path / "file.pth", envelope=envelope)
    assert same(load(path, network.config), network)


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "model.safetensors.index.json"])
def test_one_part_of_several_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"weight_map": {}}')
    with pytest.raises(CheckpointError, match="part"):
        load(tmp_path / name, "small-aot")


@pytest.mark.parametrize("change", [{"layers": 10**9}, {"embedding_dim": "x"}, {"heads": []}, {"embedding_dim": 96000}])
def test_stated_sizes_are_checked_before_anything_is_built(tmp_path: Path, change: dict[str, object]) -> None:
    content = json.loads(build("small-aot", CONFIG_CHANGES).config.to_json()) | change
    path = tmp_path / "file.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata={"deaot_config": json.dumps(content)})
    with pytest.raises(ToolkitError):
        load(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), zipped=st.booleans())
def test_changed_bytes_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject, *, zipped: bool) -> None:
    path = tmp_path / "file.pth"
    torch.save({"w": torch.arange(6.0)}, path, _use_new_zipfile_serialization=zipped)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, 1 << 20)) % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file\.pth"):
        load(path, "small-aot")


def test_a_text_that_claims_more_than_the_file_is_named(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "old.pth").read_bytes()
    (tmp_path / "old.pth").write_bytes(content[:15] + b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little"))
    with pytest.raises(CheckpointError, match=r"old\.pth: not a readable torch file \(it claims a text longer"):
        load(tmp_path / "old.pth", "small-aot")
