"""What does one kind of damage to the project in the current folder, and returns the words of commands that read it."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

CHECKPOINT = Path(__file__).parents[1] / "demo/checkpoints/soc.safetensors"
EXPRESSIONS = Path("data/meta_expressions/valid/meta_expressions.json")
MASK = Path("masks/a/v1/0/00000.png")
RECIPE = Path("my.yaml")
SIZE = (32, 48)

RUN = ["run", "my.yaml", "--quiet"]
LOOKS = [["plan", "my.yaml"], ["doctor", "my.yaml"]]
IMPORT = ["--root", "data", "--workspace", "ws", "--node", "n"]
MAKE_AGAIN = [RUN, ["submit", "my.yaml"]]
READ_WORKSPACE = [*MAKE_AGAIN, ["plan", "my.yaml"], ["report", "my.yaml", "--quiet"]]

Words = list[list[str]]
Damage = Callable[[], Words]

HUGE = 3 * 10**18
CODE = b"cposix\nmkdir\n(X\x07\0\0\0was_runtR."
"""A pickle that makes a folder."""


def recipe(old: str, new: str) -> Damage:
    """A recipe in which `new` stands in place of `old`."""

    def do() -> Words:
        text = RECIPE.read_text()
        assert old in text
        RECIPE.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogatepass"))
        return [RUN, *LOOKS]

    return do


def override(word: str) -> Damage:
    """A word behind `--set`."""
    return lambda: [[*words, "--set", word] for words in (RUN, *LOOKS)]


def training(word: str) -> Damage:
    """A setting of a training."""

    def do() -> Words:
        shutil.copy(Path(__file__).parents[1] / "rvos_fusion/training/configs/small_soc.yaml", "c.yaml")
        return [["train", "c.yaml", "--quiet", "--set", word]]

    return do


def expressions(change: Callable[[Any], object]) -> Damage:
    """An expression file of which a part is changed."""

    def do() -> Words:
        content = json.loads(EXPRESSIONS.read_text())
        change(content["videos"])
        EXPRESSIONS.write_text(json.dumps(content))
        return [RUN, ["evaluate", "data", "masks/a", "--format", "ref-youtube-vos"], ["report", "my.yaml", "--quiet"]]

    return do


def file(path: Path | str, content: bytes, *commands: list[str]) -> Damage:
    """A file of other bytes."""

    def do() -> Words:
        chosen = _find(Path(path))
        chosen.parent.mkdir(parents=True, exist_ok=True)
        chosen.write_bytes(content)
        return list(commands)

    return do


def _find(path: Path) -> Path:
    """Return the file that a pattern stands for, or what is no pattern."""
    return next(Path().glob(str(path))) if "*" in str(path) else path


def cut(path: Path, share: float, *commands: list[str]) -> Damage:
    """A file of which the end is missing."""

    def do() -> Words:
        content = _find(path).read_bytes()
        _find(path).write_bytes(content[: int(share * len(content))])
        return list(commands)

    return do


def place(path: Path, put: Callable[[Path], object], *commands: list[str]) -> Damage:
    """Something else where a file should be."""

    def do() -> Words:
        chosen = _find(path)
        chosen.unlink()
        put(chosen)
        Path("victim").write_text("the user's")
        return list(commands)

    return do


def forge_config(path: Path, keys: tuple[Any, ...], value: Any) -> Words:
    """Write a network whose description of itself has another value under some keys."""
    content = CHECKPOINT.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    config = json.loads(header["__metadata__"]["config"])
    owner = config
    for key in keys[:-1]:
        owner = owner[key]
    owner[keys[-1]] = value
    header["__metadata__"]["config"] = json.dumps(config)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return [["checkpoint", str(path)]]


def config(keys: tuple[Any, ...], value: Any) -> Damage:
    """A network that describes itself otherwise."""
    return lambda: forge_config(Path("c.safetensors"), keys, value)


def safetensors(header: object, *, length: int | None = None) -> Damage:
    """A file of tensors with this header, which says that it is of some other length."""
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text + bytes(64)
    return file("c.safetensors", content, ["checkpoint", "c.safetensors"])


def pickled(content: bytes) -> Damage:
    """A pickle, as one file and as the index of a torch archive, read as checkpoint and as dump."""

    def do() -> Words:
        Path("c.pkl").write_bytes(content)
        with zipfile.ZipFile("c.pth", "w") as archive:
            archive.writestr("c/data.pkl", content)
            archive.writestr("c/version", "3\n")
            archive.writestr("c/data/0", bytes(64))
        return [["checkpoint", "c.pkl"], ["checkpoint", "c.pth"], ["import", "c.pth", *IMPORT]]

    return do


def run_lengths(**entry: Any) -> Damage:
    """Run lengths with an entry of this kind for every sentence."""
    good = {"masks": [{"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}] * 3, "scores": [0.5, 0.5, 0.5]}
    content = {video: dict.fromkeys("012", good | entry) for video in ("v1", "v2")}
    return file("r.json", json.dumps(content).encode(), ["import", "r.json", *IMPORT])


def arrays(descr: str, shape: object, content: bytes = b"") -> Damage:
    """An archive of arrays whose header tells this type and shape."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content

    def do() -> Words:
        for video in ("v1", "v2"):
            for expression in "012":
                path = Path("npz") / video / f"{expression}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr("probabilities.npy", array)
        return [["import", "npz", *IMPORT]]

    return do


def archive(*members: tuple[str, bytes], unpacked: int | None = None) -> Damage:
    """An archive of masks with other members; the directory says that each unpacks to so many bytes."""

    def do() -> Words:
        with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members:
                packed.writestr(name, content)
        if unpacked is not None:
            content = Path("x.zip").read_bytes()
            for _, inner in members:
                content = content.replace(struct.pack("<I", len(inner)), struct.pack("<I", unpacked))
            Path("x.zip").write_bytes(content)
        return READ_ARCHIVE

    return do


READ_ARCHIVE = [
    ["check-submission", "x.zip", "--root", "data"],
    ["evaluate", "data", "x.zip", "--format", "ref-youtube-vos", "--split", "valid"],
    ["import", "x.zip", *IMPORT],
]


def samples(write: Callable[[Path], Path], name: str, damaged: Callable[[Path], object], pattern: str) -> Damage:
    """A data set of single annotated frames with a damaged file."""

    def do() -> Words:
        write(Path("other"))
        for path in sorted(Path("other").glob(pattern)):
            damaged(path)
        os.mkdir("nothing")
        return [["evaluate", "other", "nothing", "--format", name]]

    return do


def store_objects(path: Path) -> None:
    """Write an HDF5 file of texts in place of masks."""
    with h5py.File(path, "w") as content:
        content["instance"], content["reMask"] = ["x"], ["y"]


def claim_much(path: Path) -> None:
    """Write an HDF5 file of masks that are never written: small, and huge when read."""
    with h5py.File(path, "w") as content:
        content["instance"] = np.array([3])
        content.create_dataset("reMask", (1 << 20, 1 << 20), np.uint8, chunks=(1024, 1024))


def loop_links() -> Words:
    """Links that lead to their own folder."""
    for name in ("one", "other"):
        (MASK.parent.parent / name).symlink_to(".")
    return [["import", "masks/a", *IMPORT]]


def in_png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of these chunks, their checksums right."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(inner)) + name + inner + struct.pack(">I", zlib.crc32(name + inner))
        for name, inner in chunks
    )


def pickle_of(value: object) -> bytes:
    """Return the pickle of a value."""
    return pickle.dumps(value, protocol=2)


def tensors_of(value: object) -> bytes:
    """Return what torch saves, in the form of its first versions."""
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def text_of(value: str) -> bytes:
    """Return the opcode of a text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()
