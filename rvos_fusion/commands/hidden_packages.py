"""Which of our packages another one of the same name hides; imports nothing of ours but itself."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PACKAGES = ("rvos", "fusion", "propagate", "runners")


def find_hidden_package() -> str | None:
    """Return what hides one of our packages, and what to do, or None where all come from one folder.

    A plain folder of such a name does no harm: where it would come before an editable install, ours go on the path, and
    a package wins over a folder there.
    """
    root = Path(__file__).resolve().parents[2]
    for name in _PACKAGES:
        own = root / name / "__init__.py"
        if own.is_file() and _locate(name) is None:
            sys.path.append(str(root))
        found = _locate(name)
        if own.is_file() and found != own:
            place = found or f"a folder {name} that was imported"
            return f"{place}: hides our package in {own.parent}; rename it, or take its folder off PYTHONPATH"
    return None


def _locate(name: str) -> Path | None:
    """Return the file that `import name` would load, None for a plain folder; the file is not executed."""
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve()
