"""What a worker of a cluster must have in common with the client; `check_worker` runs there, before any task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from rvos.errors import PipelineError
from rvos.files.atomic import write_atomically
from rvos.files.leftovers import name_part

_PACKAGES = ("rvos", "fusion", "propagate", "runners", "rvos_fusion", "deaot_toolkit")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a worker must find: the digest of the sources, folders with the workspace first, and there the file `token`,
    which only this client made.
    """

    project: str
    folders: tuple[Path, ...]
    token: str


@contextmanager
def expect(folders: tuple[Path, ...]) -> Iterator[Expected]:
    """Put a token into the workspace while workers look for it; StoreError where it cannot be written."""
    # A path may exist on every machine and yet be another folder: only a file that was just written there can tell.
    token = name_part("cluster")  # so that a later run clears it, if this one is killed
    path = folders[0] / token
    write_atomically(path, b"")
    try:
        yield Expected(describe_project(), folders, token)
    finally:
        path.unlink(missing_ok=True)


def check_worker(expected: Expected) -> str:
    """Return what this process lacks, nothing where it can do the work."""
    # First, as other sources may answer all that follows in another way.
    if describe_project() != expected.project:
        return "has another version of rvos-fusion; install the same one everywhere"
    for folder in expected.folders:
        if not folder.is_dir():
            return f"does not see {folder}; use a file system that all machines share, under the same path"
    workspace = expected.folders[0]
    if not (workspace / expected.token).exists():
        return f"sees another folder as {workspace}; use a file system that all machines share"
    # Seen is not writable: mounts are often read-only on workers.
    probe = workspace / name_part("worker")
    try:
        write_atomically(probe, b"")
        probe.unlink()
    except (PipelineError, OSError) as error:
        return f"cannot write there: {error}"
    return ""


@cache
def describe_project() -> str:
    """Return a digest of the project's sources: two that differ might store different results under one fingerprint."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root).as_posix()}\n".encode())
            # Line ends depend on how the sources were checked out.
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
