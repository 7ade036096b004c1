"""Damage of every kind: what a user has after a bad copy, or from somebody else.

`tests/hostile/test_damage.py` says what is right.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from damage_makers import (
    CODE,
    EXPRESSIONS,
    HUGE,
    IMPORT,
    LOOKS,
    MAKE_AGAIN,
    MASK,
    READ_ARCHIVE,
    READ_WORKSPACE,
    RECIPE,
    RUN,
    SIZE,
    Damage,
    archive,
    arrays,
    claim_much,
    config,
    cut,
    expressions,
    file,
    in_png,
    loop_links,
    override,
    pickle_of,
    pickled,
    place,
    recipe,
    run_lengths,
    safetensors,
    samples,
    store_objects,
    tensors_of,
    text_of,
    training,
)
from hostile_files import eps, large_png
from sample_folders import write_a2d, write_jhmdb

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
_GROUPS = Path("ws/nodes/final/v1/*.groups.json")
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
    "groups: an object as sentence": file(_GROUPS, b'[{"expressions": {"0": {}, "1": "x"}, "confidence": 0.5}]', RUN),
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
