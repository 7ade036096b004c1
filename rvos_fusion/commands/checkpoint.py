"""`rvos checkpoint FILE ...`: which network and backbone a file holds, and what becomes of every key."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deaot_toolkit.file_values import is_finite
from deaot_toolkit.hub_folders import HUB_WEIGHTS

from runners.checkpoints.loading import read_checkpoint
from rvos.files.atomic import hash_file
from rvos_fusion.tables import Column, Table, print_json, print_tables
from rvos_fusion.weights.identification import FAMILIES, Identity, common_prefixes, identify

_SHOWN = 12


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos checkpoint ytvos_joint_video_swin_base.pth"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="or a folder as the hub has it")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every key")
    parser.add_argument("--all", action="store_true", help="print all keys that did not match by name")


def run(options: argparse.Namespace) -> int:
    """Describe every file; 1 if one is unknown or does not load whole."""
    described = {str(path): describe(path) for path in options.files}
    if options.json:
        print_json(described)
    else:
        for path, description in described.items():
            print_description(path, description, limit=None if options.all else _SHOWN)
    return int(not all(description["loads"] for description in described.values()))


def describe(path: Path) -> dict[str, Any]:
    """Return everything that is known of a file, ready for JSON; CheckpointError where it cannot be read safely."""
    if (path / HUB_WEIGHTS).is_file():
        path /= HUB_WEIGHTS
    file = read_checkpoint(path)
    identity = identify(file)
    broken = [name for name, value in file.state.items() if not is_finite(value)]
    description: dict[str, Any] = {
        "sha256": hash_file(path),
        "bytes": path.stat().st_size,
        "envelope": file.envelope or "none",
        "entries": len(file.state),
        "parameters": sum(value.numel() for value in file.state.values() if value.is_floating_point()),
        "hyper_parameters": {name: _plain(value) for name, value in sorted(file.hyper_parameters.items())},
        "not_finite": broken,
    }
    if identity is None:
        return description | {"network": None, "loads": False, "prefixes": common_prefixes(file)}
    report = identity.report
    keys = {
        "matched": list(report.matched),
        "renamed": dict(report.renamed),
        "ignored": list(report.ignored),
        "missing": list(report.missing),
        "unexpected": list(report.unexpected),
        "of another shape": list(report.mismatched),
    }
    return description | {
        "network": identity.network,
        "backbone": identity.backbone,
        "layout": identity.layout,
        "details": {name: _plain(value) for name, value in identity.details.items()},
        "contradictions": contradictions(identity, file.hyper_parameters),
        "keys": keys,
        "loads": report.is_complete and not broken,
    }


def contradictions(identity: Identity, hyper_parameters: Mapping[str, Any]) -> list[str]:
    """Return where the training arguments in the file say something else than its shapes."""
    said = hyper_parameters.get("backbone")
    if isinstance(said, str) and said.lower() != identity.backbone:
        return [f"the training arguments say backbone {said}, the shapes say {identity.backbone}"]
    return []


def print_description(path: str, description: Mapping[str, Any], *, limit: int | None) -> None:
    """Print what a file is, then every kind of key."""
    network = description["network"]
    if network is None:
        title = f"{path}: unknown network; known families are {', '.join(FAMILIES)}"
        starts = (f"{prefix} ({count})" for prefix, count in list(description["prefixes"].items())[:_SHOWN])
        rows = [("keys start with", ", ".join(starts))]
    else:
        verdict = "loads whole" if description["loads"] else "does NOT load"
        title = f"{path}: {network}, backbone {description['backbone']}, {description['layout']} layout; {verdict}"
        rows = [*_list_facts(description), *_list_keys(description, limit)]
    columns = Column("", lambda row: f"  {row[0]}"), Column("", lambda row: row[1], folds=True)
    print_tables([Table(columns, rows, title=title, has_headings=False)], "text")


def _list_facts(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "envelope", f"{description['envelope']}; {description['parameters'] / 1e6:.1f} M values"
    yield "sha256", f"{description['sha256']} ({description['bytes']} bytes)"
    if description["details"]:
        yield "sizes", ", ".join(f"{name} {value}" for name, value in description["details"].items())
    if description["hyper_parameters"]:
        yield "training", ", ".join(f"{name}={value}" for name, value in description["hyper_parameters"].items())
    yield from (("!", line) for line in description["contradictions"])
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in description["keys"].items())
    yield "keys", f"{description['entries']} in the file; {counts}"


def _list_keys(description: Mapping[str, Any], limit: int | None) -> Iterator[tuple[str, str]]:
    """Yield every key that did not match by name with what it is."""
    kinds = {kind: names for kind, names in description["keys"].items() if kind != "matched"}
    for kind, names in (kinds | {"NaN or infinity in": description["not_finite"]}).items():
        lines = [f"{old} -> {new}" for old, new in names.items()] if isinstance(names, dict) else names
        yield from ((kind, line) for line in lines[:limit])
        if limit is not None and len(lines) > limit:
            yield kind, f"and {len(lines) - limit} more (--all shows them)"


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
