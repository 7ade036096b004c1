"""The command `rvos`: finds the sub-command, prints an error as one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from rvos.errors import PipelineError

EXIT_USAGE = 2

COMMANDS = {
    "import": "check masks of other systems against a data set, and store them",
    "doctor": "say what a recipe needs and does not find",
    "run": "compute what is missing of a recipe: members, propagation, fusion",
    "plan": "show the graph of a recipe, what is there already, and what the rest will cost",
    "sweep": "score every threshold, or every subset of members, of a fusion",
    "table": "print an ablation table with gains and intervals",
    "evaluate": "score predictions: J, F and J&F of Ref-YouTube-VOS, Ref-DAVIS17 or MeViS",
    "report": "write a static page with the graph, the scores and every mask",
    "segment": "run a recipe's models on a clip of your own",
    "export": "write stored masks as PNG files",
    "submit": "write the archive of a node, and what it was made of",
    "check-submission": "say what is wrong with an archive",
    "train": "train a network as a YAML file says",
    "checkpoint": "tell which network a file holds and what becomes of every key",
    "parity": "compare our networks with a folder of official inputs and outputs",
    "synthesize": "draw a Ref-YouTube-VOS-shaped data set with ground truth",
}

_MODULES = {"import": "import_masks"}  # a keyword cannot name a module


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the options of `command` are loaded, so that `rvos --help` stays quick."""
    parser = argparse.ArgumentParser(prog="rvos", description="Referring video object segmentation by ensembles.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == command:
            module = import_module(f"pipeline.commands.{_MODULES.get(name, name.replace('-', '_'))}")
            module.register(sub)
            sub.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser(words[0] if words else None)
    options = parser.parse_args(words)
    try:
        status: int = options.run(options)
    except PipelineError as error:
        print(f"rvos {options.command}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(f"rvos {options.command}: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
