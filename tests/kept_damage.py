"""Damage that was once not met with one clear line: the inputs that lie in `../shared/damage`, a folder each.

Where a folder holds no file, its `what.txt` says what was done.
"""

from __future__ import annotations

import re
import shutil
from ast import literal_eval
from collections.abc import Callable, Mapping
from pathlib import Path

from damage_makers import (
    EXPRESSIONS,
    HUGE,
    IMPORT,
    LOOKS,
    READ_WORKSPACE,
    RUN,
    Damage,
    Words,
    file,
    forge_config,
    place,
    run_lengths,
)
from damages import DAMAGES
from hostile_files import eps
from stored_results import find_result

KEPT = Path(__file__).parents[2] / "shared" / "damage"
MASK = Path("masks/a/v1/0/00000.png")

RIGHT = {
    **dict.fromkeys(("recipe_216", "recipe_642"), "the folder of the recipe can be its workspace"),
    "recipe_300": "so can that of the data",
    **dict.fromkeys(("recipe_354", "recipe_366"), "these are names"),
    "ws_26": "checksums are reckoned again",
}
"""Inputs that need not be refused although `what.txt` does not say so."""


def list_kept() -> dict[str, Path]:
    """Return the folders of damaged inputs by name; none where there are none."""
    return {path.name: path for path in sorted(KEPT.glob("*_*")) if path.is_dir()}


def may_be_read(case: Path) -> bool:
    """Tell whether the undamaged project's result is as right as one clear line."""
    return case.name in RIGHT or _read_what(case).endswith("['same']")


def damage(case: Path) -> Words:
    """Put what a folder holds, or tells, into the project in the current folder; return the commands that read it."""
    kind = case.name.partition("_")[0]
    return _KINDS[kind](case, _read_what(case))


def _read_what(case: Path) -> str:
    """Return the first line of what was done."""
    path = case / "what.txt"
    return path.read_text().splitlines()[0] if path.exists() else ""


def _find_words(what: str) -> list[str]:
    """Return the words of the command line at its end."""
    found = re.search(r"\['--set', .*\]$", what)
    return [] if found is None else literal_eval(found[0])


def _put(case: Path, pattern: str, target: Path | str = ".") -> list[str]:
    return [str(shutil.copy(path, target)) for path in sorted(case.glob(pattern))]


def _checkpoint(case: Path, what: str) -> Words:
    if found := _put(case, "c.*"):
        return [["checkpoint", name] for name in found]
    described = re.fullmatch(r"config (\(.*?\))=(.*)", what)
    assert described is not None
    return forge_config(Path("c.safetensors"), literal_eval(described[1]), literal_eval(described[2]))


def _forged(case: Path, what: str) -> Words:
    return [*(["checkpoint", name] for name in _put(case, "forged.*")), ["import", "forged.pth", *IMPORT]]


def _recipe(case: Path, what: str) -> Words:
    _put(case, "my.yaml")
    return [[*words, *_find_words(what)] for words in (RUN, *LOOKS)]


def _training(case: Path, what: str) -> Words:
    return [["train", name, "--quiet", *_find_words(what)] for name in _put(case, "c.yaml")]


def _expressions(case: Path, what: str) -> Words:
    _put(case, "*.json", EXPRESSIONS)
    return [RUN, ["evaluate", "data", "masks/a", "--format", "ref-youtube-vos"]]


def _dump(case: Path, what: str) -> Words:
    return [["import", name, *IMPORT] for name in _put(case, "d.pth")]


def _archive(case: Path, what: str) -> Words:
    return DAMAGES["archive: a bomb"]()


def _masks(case: Path, what: str) -> Words:
    title = what.removesuffix("[]")
    if title == "mask eps":
        return file(MASK, eps(Path("was_run")), RUN)()
    if title == "two symlink loops in masks folder":
        return DAMAGES["masks: links to their folder"]()
    if title == "rle size int":
        return DAMAGES["run lengths: a number as size"]()
    if title == "rle scores huge int":
        return DAMAGES["run lengths: a huge score"]()
    shutil.rmtree("data/valid/JPEGImages")
    sides = re.fullmatch(r"rle no images bad counts size (?:(\d+)x)?(\d+)(?:\*\*(\d+))?", title)
    assert sides is not None
    side = int(sides[2]) ** int(sides[3] or 1)
    return run_lengths(masks=[{"size": [int(sides[1] or side), side], "counts": "\\5l0"}] * 3)()


def _workspace(case: Path, what: str) -> Words:
    title = re.sub(r"\['\w+'\]$", "", what)
    name, arrow, target = title.partition(" -> ")
    if arrow:
        path = _find_today(Path("ws") / name.removeprefix("ws/"))
        return place(path, lambda path: path.symlink_to(target), *READ_WORKSPACE)()
    return _SPOILT[title]()


def _find_today(path: Path) -> Path:
    """Return where a workspace has what those of before had in a place of `groups` or `nodes`."""
    if path.parts[1] == "groups":
        return next(Path("ws/nodes/final").glob(f"{path.stem}/*.groups.json"))
    return find_result(Path("ws"), path.parts[2], path.stem) if path.parts[1] == "nodes" else path


def _empty_frames() -> Words:
    for path in Path("data/valid/JPEGImages").rglob("*.jpg"):
        path.write_bytes(bytes(path.stat().st_size))
    return [RUN, ["submit", "my.yaml"]]


_SPOILT: Mapping[str, Damage] = {
    "timings huge int": file(
        "ws/timings.csv", f"node,video,seconds\nfirst,v1,{HUGE}{'9' * 400}\n".encode(), *READ_WORKSPACE
    ),
    "groups/v1 deep": file("ws/nodes/final/v1/*.groups.json", b"[" * 200_000, *READ_WORKSPACE),
    "ws/groups/v2.json deep": file("ws/nodes/final/v2/*.groups.json", b"[" * 200_000, *READ_WORKSPACE),
    "groups/v1 text num": file(
        "ws/nodes/final/v1/*.groups.json", b'[{"expressions": {"0": "x"}, "confidence": "x"}]', *READ_WORKSPACE
    ),
    "frames overwritten with zeros of the same length after the run (expect an error)": _empty_frames,
}
_KINDS: Mapping[str, Callable[[Path, str], Words]] = {
    "ckpt": _checkpoint,
    "forged": _forged,
    "recipe": _recipe,
    "train": _training,
    "json": _expressions,
    "dump": _dump,
    "zip": _archive,
    "masks": _masks,
    "ws": _workspace,
}
