"""A run of a recipe in a process of its own; imports no more than the run itself."""

from __future__ import annotations

from rvos_fusion.commands.cli import main

PRELOADED = ["killable", "rvos_fusion.commands.run", "rvos_fusion.kinds.fuse", "rvos_fusion.kinds.imported"]


def run_recipe(recipe: str, workspace: str) -> None:
    """Run the recipe and end the process with its exit status."""
    raise SystemExit(main(["run", recipe, "--workspace", workspace, "--quiet"]))
