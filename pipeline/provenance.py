"""What a submission was made of: recipe, fingerprints, checkpoints, versions; written beside the archive."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.checksums import Checksums
from pipeline.plan import Plan
from pipeline.recipe.recipe import Recipe
from rvos.files import hash_file, write_atomically

_PACKAGES = (
    "rvos-fusion",
    "torch",
    "numpy",
    "transformers",
    "pycocotools",
    "opencv-python-headless",
    "Pillow",
    "scipy",
)


def name_manifest(archive: Path) -> Path:
    """Return where the manifest of an archive lies."""
    return archive.with_suffix(".provenance.json")


def write_manifest(
    archive: Path, plan: Plan, node: str, *, overrides: Sequence[str], n_masks: int, filled: Sequence[str] = ()
) -> Path:
    """Write what `archive` was made of, without times or machine names, and return the file.

    Args:
        filled: videos that have black masks in place of a result.

    Raises:
        StoreError: it cannot be written.
    """
    recipe = plan.recipe
    content = {
        "archive": {"name": archive.name, "sha256": hash_file(archive), "masks": n_masks},
        "dataset": {
            "format": recipe.dataset.format,
            "root": str(recipe.dataset.root),
            "split": recipe.dataset.split,
            "videos": len(plan.tasks[node]),
        },
        "node": node,
        "recipe": _describe_recipe(recipe, overrides),
        "checkpoints": _list_checkpoints(plan),
        "protocols": _list_protocols(plan),
        **({"filled with black masks": list(filled)} if filled else {}),
        "fingerprints": {task.video.id: task.fingerprint for task in plan.tasks[node]},
        "versions": list_versions(),
    }
    path = name_manifest(archive)
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _describe_recipe(recipe: Recipe, overrides: Sequence[str]) -> Mapping[str, Any]:
    text = recipe.path.read_bytes()
    return {
        "path": str(recipe.path),
        "sha256": hashlib.sha256(text).hexdigest(),
        "set": list(overrides),
        "text": text.decode("utf-8", "replace"),
    }


def _list_protocols(plan: Plan) -> Mapping[str, str]:
    """Return, for every network of the plan, which frames of a video it saw together."""
    return {node.name: protocol for node in plan.nodes if (protocol := node.protocol()) is not None}


def _list_checkpoints(plan: Plan) -> Mapping[str, str]:
    """Return path -> sha256 of every checkpoint that a node of the plan reads."""
    paths = [file.path for node in plan.nodes for file in node.files() if file.use == "checkpoint"]
    checksums = Checksums(plan.recipe.workspace)
    return {str(path): checksums.get(path) for path in dict.fromkeys(paths)}


def list_versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions
