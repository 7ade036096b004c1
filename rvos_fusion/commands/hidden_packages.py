"""Which of our packages another one of the same name hides; imports nothing of ours but itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGES = ("rvos", "fusion", "propagate", "runners")


def find_hidden_package() -> str | None:
    """Return what hides one of our packages, and what to do, or None where all come from one folder."""
    root = Path(__file__).resolve().parents[2]
    for name in _PACKAGES:
        own = root / name / "__init__.py"
        found = _locate(name)
        if own.is_file() and found is not None and found != own:
            return f"{found}: hides our package in {own.parent}; rename it, or take its folder off PYTHONPATH"
    return None


def _locate(name: str) -> Path | None:
    """Return the file that `import name` would load; the file is not executed."""
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve()
