"""`rvos schema`: the JSON schema of recipes, for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rvos.files.atomic import write_atomically
from rvos_fusion.recipe.schema import recipe_schema

_EPILOG = """\
An editor with the YAML language server (VS Code: the extension YAML) then completes keys, shows what they mean and
marks what is wrong, if a recipe begins with the line
  # yaml-language-server: $schema=rvos.schema.json

example:
  rvos schema --out rvos.schema.json"""


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: print it")


def run(options: argparse.Namespace) -> int:
    """Print or write the schema."""
    text = json.dumps(recipe_schema(), indent=1) + "\n"
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(options.out, text.encode())
    return 0
