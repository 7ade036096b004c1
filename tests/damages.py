"""Damage of every kind, done to a small finished project: what a user has after a bad copy, or from somebody else.

Each entry of `DAMAGES` changes the project in the current folder and returns the words of the commands that read it.
`tests/hostile/test_damage.py` says what is right.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hostile_files import eps, large_png
from sample_folders import write_a2d, write_jhmdb

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
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
        return list(commands)

    return do


def cut(path: Path, share: float, *commands: list[str]) -> Damage:
    """A file of which the end is missing."""

    def do() -> Words:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return list(commands)

    return do


def place(path: Path, put: Callable[[Path], object], *commands: list[str]) -> Damage:
    """Something else where a file should be."""

    def do() -> Words:
        path.unlink()
        put(path)
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


_POINTER = (  # an array of pointers made of text, which an ordered dictionary would follow
    b"\x80\x02ccollections\nOrderedDict\n(cnumpy\nndarray\n(K\x02\x85cnumpy\ndtype\n("
    + text_of("O")
    + b"K\0K\1tRc_codecs\nencode\n("
    + text_of("A" * 16)
    + text_of("latin1")
    + b"tRtRtR."
)
_ARRAY = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\1\x8a\x08%b\x85cnumpy\ndtype\n("
)
_HUGE_ARRAY = _ARRAY % struct.pack("<q", HUGE) + text_of("f8") + b"K\0K\1tR\x89C\x00tb."
_DEEP = "[" * 100_000
_GROUPS = Path("ws/groups/v1.json")
_RESULT = Path("ws/nodes/first/v1.masks")
_TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_HEADER = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, 0, 0, 0, 0)

DAMAGES: Mapping[str, Damage] = {
    # Recipes
    "recipe: not UTF-8": lambda: file(RECIPE, b"\xff\xfe\0", RUN, *LOOKS)(),
    "recipe: empty": lambda: file(RECIPE, b"", RUN, *LOOKS)(),
    "recipe: code": recipe("workspace: ws", "workspace: !!python/object/apply:os.mkdir [was_run]"),
    "recipe: a list as key": recipe("pair:", "[pair]:"),
    "recipe: bytes": recipe("workspace: ws", "workspace: !!binary aGk="),
    "recipe: deep": recipe("root: data", f"root: {_DEEP}"),
    "recipe: aliases that unfold": recipe(
        "workspace: ws",
        "workspace: ws\na: &a [x, x]\n"
        + "".join(
            f"{n}: &{n} [*{m}, *{m}]\n" for m, n in zip("abcdefghijklmnopqrs", "bcdefghijklmnopqrst", strict=True)
        ),
    ),
    "recipe: a number with a large power": recipe("pair: 2", "pair: 1e99999999"),
    "recipe: a number with a small power": recipe("pair: 2", "pair: 1e-99999999"),
    "recipe: a number beyond a float": recipe("pair: 2", "pair: 1e5000"),
    "recipe: weights that overflow": recipe("{pair: 2, third: 1}", f"{{pair: {HUGE}, third: {HUGE}}}"),
    "recipe: not a number": recipe("threshold: 2", "threshold: .nan"),
    "recipe: nobody's home": recipe("workspace: ws", "workspace: ~nosuchuser/x"),
    "recipe: an import in nobody's home": recipe("masks/a", "~nosuchuser/x"),
    "recipe: a zero in a name": recipe("workspace: ws", 'workspace: "a\\0b"'),
    "recipe: half a character in a name": recipe("masks/a", '"\\uD800"'),
    "recipe: a long name": recipe("workspace: ws", f"workspace: {'x' * 300}"),
    "recipe: a file as workspace": recipe("workspace: ws", "workspace: my.yaml"),
    "recipe: a workspace below a file": recipe("workspace: ws", "workspace: my.yaml/ws"),
    "recipe: a workspace in the kernel": recipe("workspace: ws", "workspace: /proc/x"),
    "override: deep": override(f"x={'[' * 5000}"),
    "override: no key": override("=1"),
    "override: into the kernel": override("workspace=/proc/1/x"),
    # Trainings
    "training: no date": training("x=2001-13-45"),
    "training: deep": training(f"x={'[' * 5000}"),
    "training: no network": training("network.backbone=null"),
    "training: no kind": training("network.backbone.kind=null"),
    "training: a negative width": training("network.text.vocab_size=-1"),
    "training: a huge width": training("network.text.hidden=100000000000000000000000000000"),
    "training: not a number": training("network.encoder_layers=.nan"),
    "training: a list": training("network.text.dropout=[1, 2]"),
    # Expressions
    "expressions: cut": cut(EXPRESSIONS, 0.5, RUN),
    "expressions: half a character": expressions(
        lambda videos: videos["v2"]["expressions"]["2"].update(exp="x\ud800y")
    ),
    "expressions: a number as sentence": expressions(lambda videos: videos["v1"]["expressions"]["0"].update(exp=5)),
    "expressions: a list as video": expressions(lambda videos: videos.update(v1=[])),
    "expressions: a name that climbs out": expressions(lambda videos: videos.update({"../x": videos.pop("v1")})),
    "expressions: a huge object": expressions(lambda videos: videos["v1"]["expressions"]["0"].update(obj_id=10**400)),
    "expressions: not a number": expressions(
        lambda videos: videos["v1"]["expressions"]["0"].update(obj_id=float("nan"))
    ),
    "expressions: deep": file(EXPRESSIONS, _DEEP.encode(), RUN, ["evaluate", "data", "masks/a", "--format", "mevis"]),
    # Masks
    "mask: cut": cut(MASK, 0.6, RUN),
    "mask: PostScript": file(MASK, eps(Path("was_run")), RUN),
    "mask: 30,000 squared": file(MASK, large_png(30_000, 30_000), RUN),
    "mask: no header": file(MASK, in_png((b"IEND", b"")), RUN),
    "mask: no palette": file(
        MASK,
        in_png((b"IHDR", _HEADER[:9] + b"\3" + _HEADER[10:]), (b"IDAT", zlib.compress(bytes(49 * 32))), (b"IEND", b"")),
        RUN,
    ),
    "mask: no pixels": file(MASK, in_png((b"IHDR", _HEADER), (b"IEND", b"")), RUN),
    "mask: pixels for a bomb": file(
        MASK, in_png((b"IHDR", _HEADER), (b"IDAT", zlib.compress(bytes(1 << 24))[:9]), (b"IEND", b"")), RUN
    ),
    "mask: a pipe": place(MASK, os.mkfifo, RUN),
    "mask: an endless device": place(MASK, lambda path: path.symlink_to("/dev/zero"), RUN),
    "mask: a link to itself": place(MASK, lambda path: path.symlink_to(path.name), RUN),
    "masks: links to their folder": loop_links,
    # Other forms of masks
    "run lengths: a number as size": run_lengths(masks=[{"size": 5, "counts": [1536]}] * 3),
    "run lengths: a huge score": run_lengths(scores=[10**400, 1, 1]),
    "run lengths: a huge size": run_lengths(masks=[{"size": [HUGE, 1], "counts": "\\5l0"}] * 3),
    "run lengths: text without end": run_lengths(masks=[{"size": list(SIZE), "counts": "\x7f" * 9}] * 3),
    "run lengths: more pixels than there are": run_lengths(masks=[{"size": list(SIZE), "counts": [2**62, 2**62]}] * 3),
    "run lengths: deep": file("r.json", _DEEP.encode(), ["import", "r.json", *IMPORT]),
    "arrays: a huge shape": arrays("<f4", (3, HUGE, 4)),
    "arrays: shapes that overflow": arrays("<f4", (2**31, 2**31, 4)),
    "arrays: a pickle": arrays("|O", (1,), CODE),
    "arrays: an odd type": arrays("<M8[s]", (3, 4, 4), bytes(384)),
    "arrays: cut": arrays("<f4", (3, *SIZE), bytes(100)),
    # Archives
    "archive: cut": lambda: [file("x.zip", Path("ws/submission.zip").read_bytes()[:900])(), READ_ARCHIVE][1],
    "archive: a bomb": archive(("Annotations/v1/0/00000.png", bytes(1 << 20)), unpacked=3 << 30),
    "archive: a name that climbs out": archive(("../x.png", b"")),
    "archive: an absolute name": archive(("/x.png", b"")),
    "archive: an escape in a name": archive(("Annotations/\x1b[31mv/0/00000.png", b"")),
    "archive: a script in a name": archive(("Annotations/<script>/0/00000.png", b"")),
    # Checkpoints and dumps
    "pickle: code": pickled(b"\x80\x02" + CODE),
    "pickle: cut": pickled(b"\x80\x02}q"),
    "pickle: a huge place in its memory": pickled(b"\x80\x02}r\xff\xff\xff\x0f."),
    "pickle: a huge length": pickled(b"\x80\x02\x8e" + struct.pack("<Q", 2**62) + b"x."),
    "pickle: a huge array": pickled(_HUGE_ARRAY),
    "pickle: a forged pointer": pickled(_POINTER),
    "pickle: texts": pickled(pickle_of({"a": np.array(["x"])})),
    "pickle: deep": pickled(b"\x80\x02" + b"(" * 200_000 + b"l" * 200_000 + b"."),
    "pickle: a date": pickled(b"\x80\x02cdatetime\ndate\n(" + b"K\1K\1K\1tR."),
    "tensors: cut": file("c.pth", tensors_of({"a": torch.zeros(99)})[:300], ["checkpoint", "c.pth"]),
    "tensors: numbers that share a place": file(
        "c.pth", tensors_of({"a": torch.zeros(1).expand(10**9)}), ["checkpoint", "c.pth"]
    ),
    "safetensors: a huge shape": safetensors({"a": _TENSOR | {"shape": [HUGE, 4]}}),
    "safetensors: beyond its end": safetensors({"a": _TENSOR | {"data_offsets": [0, 2**62]}}),
    "safetensors: a huge header": safetensors({"a": _TENSOR}, length=2**63),
    "safetensors: a number as tensor": safetensors({"a": 5}),
    "safetensors: deep": file(
        "c.safetensors", struct.pack("<Q", len(_DEEP)) + _DEEP.encode(), ["checkpoint", "c.safetensors"]
    ),
    "network: layers without end": config(("encoder_layers",), 10**9),
    "network: more layers than numbers": config(("decoder_layers",), 10**30),
    "network: half a layer": config(("text", "layers"), 1.5),
    "network: a list as width": config(("text", "vocab_size"), []),
    "network: a negative width": config(("mask_channels",), -1),
    "network: an unknown kind": config(("backbone", "kind"), "x"),
    # Data sets in other files
    "MATLAB: cut": samples(
        write_jhmdb, "jhmdb-sentences", lambda path: path.write_bytes(path.read_bytes()[:150]), "**/*.mat"
    ),
    "MATLAB: empty": samples(write_jhmdb, "jhmdb-sentences", lambda path: path.write_bytes(b""), "**/*.mat"),
    "HDF5: cut": samples(write_a2d, "a2d-sentences", lambda path: path.write_bytes(path.read_bytes()[:900]), "**/*.h5"),
    "HDF5: texts": samples(write_a2d, "a2d-sentences", store_objects, "**/*.h5"),
    "HDF5: larger than any memory": samples(write_a2d, "a2d-sentences", claim_much, "**/*.h5"),
    "list: deep": samples(write_jhmdb, "jhmdb-sentences", lambda path: path.write_text(_DEEP), "*.json"),
    "clip: cut": samples(
        write_a2d, "a2d-sentences", lambda path: path.write_bytes(path.read_bytes()[:200]), "**/*.mp4"
    ),
    # Results
    "groups: deep": file(_GROUPS, _DEEP.encode(), RUN),
    "groups: text as number": file(_GROUPS, json.dumps([{"expressions": {"0": "x"}, "confidence": "x"}]).encode(), RUN),
    "groups: an endless device": place(_GROUPS, lambda path: path.symlink_to("/dev/zero"), RUN),
}
"""What is refused: one line, status 2."""

RESULTS = {
    "result: cut": cut(_RESULT, 0.5, *MAKE_AGAIN),
    "result: an endless device": place(_RESULT, lambda path: path.symlink_to("/dev/zero"), *MAKE_AGAIN),
    "result: a pipe": place(_RESULT, os.mkfifo, *MAKE_AGAIN),
    "checksums: an endless device": place(
        Path("ws/checksums.json"), lambda path: path.symlink_to("/dev/zero"), *MAKE_AGAIN
    ),
    "checksums: wrong types": file("ws/checksums.json", b'{"x": [1, {}], "y": null}', *MAKE_AGAIN),
    "times: a huge number": file("ws/timings.csv", b"node,video,seconds\nfirst,v1," + b"9" * 400, *READ_WORKSPACE),
    "times: a link to a file of the user's": place(
        Path("ws/timings.csv"), lambda path: path.symlink_to("../victim"), *MAKE_AGAIN
    ),
    "archive: a link to a file of the user's": place(
        Path("ws/submission.zip"), lambda path: path.symlink_to("../victim"), *MAKE_AGAIN
    ),
    "ignored: an endless device": place(Path("ws/.gitignore"), lambda path: path.symlink_to("/dev/zero"), *MAKE_AGAIN),
}
"""What the next run makes again: the archive has the same bytes."""
