"""A run of a recipe in a process of its own; imports no more than the run itself."""

from __future__ import annotations

from pipeline.cli import main

PRELOADED = ["killable", "pipeline.commands.run", "pipeline.kinds.fuse", "pipeline.kinds.imported"]


def run_recipe(recipe: str, workspace: str) -> None:
    """Run the recipe and end the process with its exit status."""
    raise SystemExit(main(["run", recipe, "--workspace", workspace, "--quiet"]))
