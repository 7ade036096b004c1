"""A run of the released recipe in a process of its own; imports no more than the run itself."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli import main

RELEASED = Path(__file__).parents[1] / "recipes" / "lsvos2023_released.yaml"
PRELOADED = ["killable", "pipeline.commands.run", "pipeline.nodes.fusion", "pipeline.nodes.propagation"]


def run_released(workspace: str, overrides: tuple[str, ...]) -> None:
    """Run the recipe and end the process with its exit status."""
    sets = [word for override in overrides for word in ("--set", override)]
    raise SystemExit(main(["run", str(RELEASED), "--workspace", workspace, "--quiet", *sets]))
