"""What a submission was made of: recipe, fingerprints, checkpoints, versions; written beside the archive."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from rvos.errors import InputError
from rvos.files.atomic import hash_file, write_text
from rvos.files.json_files import expect_object, read_json
from rvos_fusion.kinds.base import capability
from rvos_fusion.kinds.checksums import Checksums, hash_json
from rvos_fusion.kinds.groups.review import write_review
from rvos_fusion.planning.plan import Plan
from rvos_fusion.weights.licences import list_ancestors, list_sources

FILLED = "filled with black masks"
MANUAL = "corrected by hand"
_PATIENCE = 20.0
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


@runtime_checkable
class SeesFrames(Protocol):
    """A node whose network sees several frames of a video together."""

    def protocol(self) -> str:
        """Return which ones."""


@runtime_checkable
class Manual(Protocol):
    """A node that applies corrections made by hand."""

    def list_corrected(self) -> Sequence[str]:
        """Return the sentences that they are of, as `video/sentence`."""


def name_manifest(archive: Path) -> Path:
    """Return where the manifest of an archive lies."""
    return archive.with_suffix(".provenance.json")


def read_dataset_entry(archive: Path) -> tuple[str, Path, str] | None:
    """Return format, root and split of the data set that an archive's manifest names; None without a manifest.

    Raises:
        InputError: a manifest that names none.
    """
    manifest = name_manifest(archive)
    if not manifest.is_file():
        return None
    entry = expect_object(expect_object(read_json(manifest), where=str(manifest)).get("dataset"), where=str(manifest))
    format, root, split = (entry.get(name) for name in ("format", "root", "split"))
    if not isinstance(format, str) or not isinstance(root, str) or not isinstance(split, str):
        raise InputError(f"{manifest}: names no data set; give --format, --split and the folder of the data")
    return format, Path(root), split


def write_manifest(
    archive: Path,
    plan: Plan,
    node: str,
    *,
    overrides: Sequence[str],
    n_masks: int,
    filled: Sequence[str] = (),
    gaps: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Path:
    """Write what `archive` was made of, without times or machine names, and return the file.

    Args:
        filled: sentences, as `video/expression`, that have black masks in place of a result.
        gaps: by import, sentences that it had no masks for.

    Raises:
        StoreError: it cannot be written.
    """
    recipe = plan.recipe
    text, groups = recipe.path.read_bytes(), recipe.workspace / "groups.json"
    are_decided = recipe.groups.by in ("runs", "agreement")  # by masks
    if are_decided:  # what lies there may be another recipe's
        are_decided = write_review(recipe.workspace, plan.tasks, plan.name_results()) is not None
    correcting = ((one.name, capability(one, Manual)) for one in recipe.graph.below(node))
    manual = {name: corrected for name, one in correcting if one is not None and (corrected := one.list_corrected())}
    networks = {one.name: capability(one, SeesFrames) for one in plan.nodes}
    content = {
        "archive": {"name": archive.name, "sha256": hash_file(archive), "masks": n_masks},
        "dataset": {
            "format": recipe.dataset.format,
            "root": str(recipe.dataset.root),
            "split": recipe.dataset.split,
            "videos": len(plan.tasks[node]),
        },
        "node": node,
        "recipe": {
            "path": str(recipe.path),
            "sha256": hashlib.sha256(text).hexdigest(),
            "set": list(overrides),
            "text": text.decode("utf-8", "replace"),
        },
        "checkpoints": _hash_files(plan, "checkpoint"),
        "imports": _hash_files(plan, "data", "results"),
        "groups": {"by": recipe.groups.by, "sha256": hash_file(groups) if are_decided else None},
        "data": _hash_data(plan, node),
        "licences": [asdict(source) for source in list_sources(recipe, list_ancestors(recipe, node))],
        "commit": find_commit(),
        "protocols": {name: one.protocol() for name, one in networks.items() if one is not None},
        **({FILLED: list(filled)} if filled else {}),
        **({MANUAL: manual, "corrections": _hash_files(plan, "manual")} if manual else {}),
        **({"missing masks": {name: list(own) for name, own in gaps.items()}} if gaps else {}),
        "fingerprints": {task.video.id: task.fingerprint for task in plan.tasks[node]},
        "versions": list_versions(),
    }
    path = name_manifest(archive)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _hash_files(plan: Plan, *uses: str) -> Mapping[str, str]:
    """Return path -> sha256 of every file that a node of the plan has a use for."""
    paths = [file.path for node in plan.nodes for file in node.files() if file.use in uses]
    checksums = Checksums(plan.recipe.workspace)
    found = {str(path): checksums.get(path) for path in dict.fromkeys(paths)}
    checksums.save()
    return found


def _hash_data(plan: Plan, node: str) -> Mapping[str, str | None]:
    """Return checksums of all expressions and frame lists, and of images where a network saw them: masks need none."""
    checksums = Checksums(plan.recipe.workspace)
    videos = [task.video for task in plan.tasks[node]]
    listed = [[one.id, one.frames, [[e.id, e.text, e.object_ids] for e in one.expressions]] for one in videos]
    sees_images = any(one.worker_key() is not None for one in plan.nodes)
    images = hash_json([checksums.frames(video) for video in videos]) if sees_images else None
    checksums.save()
    return {"expressions": hash_json(listed), "images": images}


def find_commit() -> str | None:
    """Return the commit of this program, with `-dirty` where files differ from it; None where it has none."""
    folder = Path(__file__).resolve().parents[2]
    words = ("git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        # Another project's history, in which this one is installed, is not asked.
        if (folder / ".git").exists():
            done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=True)
            return done.stdout.strip() or None
        direct = metadata.distribution("rvos-fusion").read_text("direct_url.json")
        commit = json.loads(direct or "{}").get("vcs_info", {}).get("commit_id")
        return None if commit is None else str(commit)
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError, metadata.PackageNotFoundError):
        return None


def list_versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions
