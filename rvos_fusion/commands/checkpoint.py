"""`rvos checkpoint FILE ...`: which network and backbone a file holds, and what becomes of every key."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, read_checkpoint
from rvos.files.atomic import hash_file
from rvos_fusion.weights.identification import FAMILIES, Identity, common_prefixes, identify

_SHOWN = 12


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos checkpoint ytvos_joint_video_swin_base.pth"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every key")
    parser.add_argument("--all", action="store_true", help="print all keys that did not match by name")


def run(options: argparse.Namespace) -> int:
    """Describe every file; 1 if one is unknown or does not load whole."""
    described = {str(path): describe(path) for path in options.files}
    if options.json:
        json.dump(described, sys.stdout, indent=1)
        print()
    else:
        for path, description in described.items():
            print_description(path, description, limit=None if options.all else _SHOWN)
    return int(not all(description["loads"] for description in described.values()))


def describe(path: Path) -> dict[str, Any]:
    """Return everything that is known of a file, ready for JSON.

    Raises:
        CheckpointError: the file cannot be read safely.
    """
    file = read_checkpoint(path)
    identity = identify(file)
    broken = [name for name, value in file.state.items() if not _is_finite(value)]
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
    return description | _as_json(identity, file) | {"loads": identity.report.is_complete and not broken}


def _as_json(identity: Identity, file: CheckpointFile) -> dict[str, Any]:
    report = identity.report
    keys = {
        "matched": list(report.matched),
        "renamed": dict(report.renamed),
        "ignored": list(report.ignored),
        "missing": list(report.missing),
        "unexpected": list(report.unexpected),
        "of another shape": list(report.mismatched),
    }
    return {
        "network": identity.network,
        "backbone": identity.backbone,
        "layout": identity.layout,
        "details": {name: _plain(value) for name, value in identity.details.items()},
        "contradictions": contradictions(identity, file.hyper_parameters),
        "keys": keys,
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
        print(f"{path}: unknown network; known families are {', '.join(FAMILIES)}")
        found = ", ".join(f"{prefix} ({count})" for prefix, count in list(description["prefixes"].items())[:_SHOWN])
        print(f"  its keys start with: {found}")
        return
    verdict = "loads whole" if description["loads"] else "does NOT load"
    print(f"{path}: {network}, backbone {description['backbone']}, {description['layout']} layout; {verdict}")
    print(f"  envelope: {description['envelope']}; {description['parameters'] / 1e6:.1f} M values")
    print(f"  sha256: {description['sha256']} ({description['bytes']} bytes)")
    if description["details"]:
        print("  sizes: " + ", ".join(f"{name} {value}" for name, value in description["details"].items()))
    if description["hyper_parameters"]:
        print("  training: " + ", ".join(f"{name}={value}" for name, value in description["hyper_parameters"].items()))
    for line in description["contradictions"]:
        print(f"  ! {line}")
    counts = {kind: len(names) for kind, names in description["keys"].items()}
    print(f"  keys: {description['entries']} in the file; " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    for kind, names in description["keys"].items():
        if kind != "matched" and names:
            _print_names(kind, names, limit)
    if description["not_finite"]:
        _print_names("NaN or infinity in", description["not_finite"], limit)


def _print_names(kind: str, names: list[str] | dict[str, str], limit: int | None) -> None:
    lines = [f"{old} -> {new}" for old, new in names.items()] if isinstance(names, dict) else names
    for line in lines[:limit]:
        print(f"    {kind}: {line}")
    if limit is not None and len(lines) > limit:
        print(f"    {kind}: and {len(lines) - limit} more (--all shows them)")


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
