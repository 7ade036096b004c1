"""What is refused of options that many commands have, before a command does anything."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rvos.errors import ConfigError

_WRITTEN_BY_PEOPLE = frozenset({".yaml", ".yml", ".jsonl", ".py"})
_MAY_WRITE: Mapping[str, frozenset[str]] = {
    "correct": frozenset({".jsonl"}),
    "search": frozenset({".yaml", ".yml"}),
}
"""Commands that write such files, and check themselves which."""


def check_options(options: argparse.Namespace) -> None:
    """Refuse, by a ConfigError, fewer processes than one, and an output that would replace a recipe or the like."""
    jobs = getattr(options, "jobs", 1)
    # Where the data are scored alone, -1 has always meant all cores.
    if jobs < 1 and not (options.command == "evaluate" and jobs == -1):
        raise ConfigError(f"--jobs {jobs}: give 1 or more")
    for name in ("out", "plot"):
        path = getattr(options, name, None)
        if not isinstance(path, Path):
            continue
        suffixes = _WRITTEN_BY_PEOPLE - _MAY_WRITE.get(options.command, frozenset())
        if path.suffix.lower() in suffixes and path.is_file():
            raise ConfigError(f"--{name} {path}: is there already and is no output; name another file")
