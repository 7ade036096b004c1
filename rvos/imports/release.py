"""The whole folder of the 2023 release: which members lie where. Source: fusion_recipe.md, section 5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rvos.imports.dumps import DumpValues

_PROBABILITIES = frozenset({"vit_huge", "convnext"})
_ENSEMBLES = "second_ensemble"
_FOLDERS = {"Annotations": "", "Annotations_AOT_class_index": "_aot", "Annotations_DEAOT_class_index": "_deaot"}


@dataclass(frozen=True, slots=True)
class FoundMember:
    """A member that a folder holds. `name`: made of the folder's or the file's name; `values`: of a dump."""

    name: str
    format: Literal["png", "dump", "rle", "npz", "png16"]
    path: Path
    values: DumpValues = "logits"


def find_members(root: Path) -> tuple[FoundMember, ...]:
    """Return all members in the release's layout, sorted by place; dumps that were split count once."""
    return (*_find_folders(root), *_find_dumps(root))


def is_release(root: Path) -> bool:
    """Whether a folder has the release's layout."""
    return any(member.path.parent != root for member in find_members(root))


def _find_folders(root: Path) -> Iterator[FoundMember]:
    for source in sorted(path for path in root.iterdir() if path.is_dir()):
        if source.name == _ENSEMBLES:
            for path in sorted(source.glob("Annotations_*")):
                yield FoundMember(path.name.removeprefix("Annotations_"), "png", path)
            continue
        for folder, suffix in _FOLDERS.items():
            if (source / folder).is_dir():
                yield FoundMember(source.name + suffix, "png", source / folder)


def _find_dumps(root: Path) -> Iterator[FoundMember]:
    whole = {path.stem: path for path in sorted((root / "model_pth").glob("*.pth"))}
    split = {path.name: path for path in sorted((root / "model_split").glob("*")) if any(path.glob("*.pth"))}
    for name, path in (split | whole).items():
        values: DumpValues = "probabilities" if name in _PROBABILITIES else "logits"
        yield FoundMember(f"{name}_dump", "dump", path, values)
