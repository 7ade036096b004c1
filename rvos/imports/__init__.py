"""Masks that other systems made: PNG folders, dumps of the 2023 release, run lengths in JSON, soft masks."""

from __future__ import annotations

from pathlib import Path

from rvos.errors import ConfigError
from rvos.files.trees import open_masks
from rvos.imports.dumps import DumpValues, open_dump
from rvos.imports.npz import NpzSource
from rvos.imports.png_folders import open_png_folder
from rvos.imports.rle_json import open_rle
from rvos.imports.soft_pngs import SoftPngSource
from rvos.imports.source import Source, find_misfits
from rvos.masks.mask_sequences import KeepSoft

__all__ = ["FORMATS", "Source", "find_misfits", "open_source"]

FORMATS = ("png", "dump", "rle", "npz", "png16")


def open_source(
    format: str,
    path: Path,
    *,
    values: DumpValues = "logits",
    soft: KeepSoft = False,
    paths: frozenset[str] = frozenset(),
) -> Source:
    """Return a source of masks; they are read only when asked for, one video at a time.

    Args:
        format: one of `FORMATS`.
        values: what a dump holds, `logits` or `probabilities`.
        soft: whether to keep soft maps of a dump, npz or png16.
        paths: ids of videos that are paths.

    Raises:
        ConfigError: unknown format.
        InputError: missing, damaged, or wanting to execute code.
    """
    if format == "png":
        return open_png_folder(path, paths)
    if format == "dump":
        return open_dump(path, values=values, soft=soft)
    if format == "rle":
        return open_rle(path)
    if format == "npz":
        return NpzSource(open_masks(path, paths), soft, paths=paths)
    if format == "png16":
        return SoftPngSource(open_masks(path, paths), soft, paths=paths)
    raise ConfigError(f"import format {format}: unknown; choose from {', '.join(FORMATS)}")
