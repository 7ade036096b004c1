"""`rvos new-runner NAME`: a model of your own to fill in, with its test."""

from __future__ import annotations

import argparse
import importlib.util
from importlib.resources import files
from pathlib import Path
from string import Template

from rvos.errors import ConfigError
from rvos.files.atomic import write_atomically


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "examples:\n  rvos new-runner my_model\n  rvos new-runner my_program --program --out models"
    parser.add_argument("name", metavar="NAME", help="of the module, such as my_model")
    parser.add_argument("--program", action="store_true", help="a program for another environment, instead of a module")
    parser.add_argument(
        "--out", type=Path, default=Path(), help="folder to write to, that of the recipe; default: here"
    )


def run(options: argparse.Namespace) -> int:
    """Write module and test; print what to put into a recipe."""
    kind = "program" if options.program else "runner"
    paths = write_runner(options.name, options.out, kind=kind)
    print(f"{paths[0]}: fill in your model; test it: python -m pytest {paths[1]}")
    words = f"runner: command, command: [python, {options.name}.py]" if options.program else None
    print(f"in the recipe, under models: {options.name}: {{{words or f'runner: {options.name}:build'}}}")
    return 0


def write_runner(name: str, folder: Path, *, kind: str) -> tuple[Path, Path]:
    """Write the template of a `runner` or `program` and its test, and return the files.

    Raises a ConfigError for no name of a module, or one that is taken.
    """
    if not name.isidentifier():
        raise ConfigError(f"{name!a}: no name for a module; take letters, digits and _, such as my_model")
    paths = (folder / f"{name}.py", folder / f"test_{name}.py")
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: is there already; choose another name or folder")
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(f"{name}: a module of this name is installed; choose another name")
    for path, template in zip(paths, (kind, f"test_{kind}"), strict=True):
        text = files("rvos_fusion.commands").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
        write_atomically(path, Template(text).substitute(name=name).encode())
    return paths
