"""The command `rvos`: finds the sub-command, prints an error as one line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata

from rvos_fusion.commands.hidden_packages import find_hidden_package

_NAME_WIDTH = 18
EXIT_USAGE = 2
EXIT_CLOSED_PIPE = 141  # what shells report of a program that wrote to a pipe without a reader

GROUPS: Mapping[str, Mapping[str, str]] = {
    "start": {
        "demo": "run the bundled demo in a folder of its own, from data to archive",
        "doctor": "say what a recipe needs and does not find",
        "fetch-weights": "fetch official weights of the hub, and say where the others lie",
        "import": "check masks of other systems against a data set, and store them",
        "segment": "run a recipe's models on a clip of your own",
    },
    "run": {
        "plan": "show the graph of a recipe, what is there already, and what the rest will cost",
        "run": "compute what is missing of a recipe: members, propagation, fusion",
        "clean": "list, and remove, stored results that a recipe names no more",
    },
    "look": {
        "table": "print an ablation table with gains and intervals",
        "audit": "list the answers of a node that deserve a second look, without ground truth",
        "report": "write a static page with the graph, the scores and every mask",
        "sweep": "score every threshold or subset of members of a fusion, every window of a refinement",
        "evaluate": "score predictions: J, F and J&F of Ref-YouTube-VOS, Ref-DAVIS17 or MeViS",
        "export": "write stored masks as PNG files",
        "correct": "correct an answer by hand, in a file that a recipe may name",
        "nouns": "list what a detector is asked for each sentence",
    },
    "hand in": {
        "submit": "write the archive of a node, and what it was made of",
        "check-submission": "say what is wrong with an archive",
        "licences": "list licence and attribution of everything that a recipe's result stands on",
    },
    "extend": {
        "search": "find the members, threshold and groups of a vote that score best on held-out videos",
        "fit": "fit a fusion's numbers on labelled videos, with the gain on held-out ones",
        "train": "train a network as a YAML file says",
        "pseudo-labels": "write the masks of a node as a split to train on",
        "synthesize": "draw a Ref-YouTube-VOS-shaped data set with ground truth",
        "new-runner": "write a model of your own to fill in, with its test",
        "checkpoint": "tell which network a file holds and what becomes of every key",
        "parity": "compare our networks with a folder of official inputs and outputs",
        "schema": "print the JSON schema of recipes, for editors",
    },
}
"""What each command does, by what a person is about to do."""

COMMANDS = {name: summary for commands in GROUPS.values() for name, summary in commands.items()}

_MODULES = {"import": "import_masks"}  # a keyword cannot name a module


def build_overview() -> argparse.ArgumentParser:
    """Return the parser of `rvos` alone: it lists the commands and loads none of them."""
    lines = []
    for group, commands in GROUPS.items():
        lines += [f"\n{group}:", *(f"  {name:<{_NAME_WIDTH}}{summary}" for name, summary in commands.items())]
    parser = argparse.ArgumentParser(
        prog="rvos",
        usage="rvos [-h] [--version] COMMAND ...",
        description="Referring video object segmentation by ensembles.",
        epilog="\n".join([*lines, "\n`rvos COMMAND --help` shows its options and an example."])[1:],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rvos-fusion {metadata.version('rvos-fusion')}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


def _print_overview() -> None:
    """Print all commands and the one that comes next."""
    # Not at the top: another rvos may hide ours.
    from rvos_fusion.commands.shared_options import DEFAULT_RECIPE

    build_overview().print_help()
    has_recipe = DEFAULT_RECIPE.is_file()
    print(f"\nnext: {f'rvos plan   # of {DEFAULT_RECIPE}' if has_recipe else 'rvos demo   # two minutes on two cores'}")


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command, whose module declares its options by `register` and does its work by `run`.

    No other command is loaded, so that each starts quickly.
    """
    summary = COMMANDS[command]
    parser = argparse.ArgumentParser(
        prog=f"rvos {command}", description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module = import_module(module_of(command))
    module.register(parser)
    parser.set_defaults(run=module.run, command=command)
    return parser


def module_of(command: str) -> str:
    """Return the name of the module that holds a command."""
    return f"rvos_fusion.commands.{_MODULES.get(command, command.replace('-', '_'))}"


def _complete(line: str) -> None:
    """Answer a shell that asks what could follow a line; only the command that stands in it is loaded."""
    from rvos_fusion.commands.completion import answer, find_command

    parser = argparse.ArgumentParser(prog="rvos")
    commands = parser.add_subparsers()
    own = {name: commands.add_parser(name, help=summary) for name, summary in COMMANDS.items()}
    command = find_command(line, COMMANDS)
    if command is not None:
        import_module(module_of(command)).register(own[command])
    answer(parser, None if command is None else own[command])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    hidden = find_hidden_package()
    if hidden is not None:
        print(f"rvos: {hidden}", file=sys.stderr)
        return EXIT_USAGE
    if "_ARGCOMPLETE" in os.environ:  # not a user who wants something done, but a shell after Tab
        _complete(os.environ.get("COMP_LINE", ""))
    # Not at the top: another rvos may hide ours.
    from rvos.endings import Ended, ended_by_signals

    words = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(("rvos", *words[:1]))
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of few letters, or half a character in a file name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with ended_by_signals():
            try:
                return _run(words)
            finally:
                sys.stdout.flush()
    except KeyboardInterrupt as error:
        ended = error if isinstance(error, Ended) else Ended(signal.SIGINT)
        how = " with --resume" if words[0] == "train" else ""
        print(f"{name}: {ended}; run it again{how} to go on", file=sys.stderr)
        return ended.exit_status
    except BrokenPipeError:
        _drop_output()
        return EXIT_CLOSED_PIPE
    except OSError as error:
        _drop_output()
        print(f"{name}: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE


def _open_streams() -> None:
    """Lead standard streams that the caller closed nowhere, or the next file that is opened would take their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _drop_output() -> None:
    """Lead what is still to be printed nowhere, or Python would complain once more at its end."""
    try:
        target = sys.stdout.fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, target)
    os.close(nowhere)


def _run(words: list[str]) -> int:
    # Not at the top: another rvos may hide ours.
    from rvos.errors import PipelineError
    from rvos.settings.problems import nearest
    from rvos_fusion.commands.option_checks import check_options

    if not words:
        _print_overview()
        return 0
    if words[0] not in COMMANDS:
        overview = build_overview()
        if words and not words[0].startswith("-"):
            overview.error(f"no command {words[0]!r}; {nearest(words[0], COMMANDS)}")
        overview.parse_args(words)
    # Intermixed: names may stand before and after options, as in `rvos table RECIPE --jobs 2 NODE NODE`.
    options = build_parser(words[0]).parse_intermixed_args(words[1:])
    try:
        check_options(options)
        status: int = options.run(options)
    except PipelineError as error:
        print(f"rvos {options.command}: {error}", file=sys.stderr)
        return error.exit_status
    return status


if __name__ == "__main__":
    sys.exit(main())
