"""Errors that a user can mend: each message is `where: what was found; what to do`."""

from __future__ import annotations

_LONGEST_LINE = 1500


class PipelineError(Exception):
    """Anything wrong that a user can mend; the command line prints it as one line and exits with its status."""

    exit_status = 2
    may_have_lines = False

    def __str__(self) -> str:
        """Return the message as `make_printable` shows it: names and contents that it quotes may hold anything."""
        lines = super().__str__().split("\n") if self.may_have_lines else [super().__str__()]
        return "\n".join(map(make_printable, lines))


def make_printable(text: str) -> str:
    """Return text that can be shown as one line: what is not printable is written as an escape.

    A name may hold a line break or half a character: neither may split the line or stop a terminal. Of a line that
    nobody would read to its end, start and end are returned.
    """
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    half = _LONGEST_LINE // 2
    return line if len(line) <= _LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


class ConfigError(PipelineError):
    """A recipe or a command-line value that cannot be used; several problems of a file stand on lines of their own."""

    may_have_lines = True


class InputError(PipelineError):
    """A frame, mask, annotation or expression file that is missing, damaged or inconsistent."""


class StoreError(PipelineError):
    """A stored result that is missing, damaged or foreign, or that cannot be written."""


class FusionError(PipelineError):
    """Members that cannot be fused: none, or of unequal frames or sizes."""


class CheckpointError(PipelineError):
    """A checkpoint that cannot be read safely or does not fit the network."""


def explain(error: BaseException) -> str:
    """Return why something failed, in one line without the file's name, which system and FFmpeg repeat."""
    text = str(getattr(error, "strerror", None) or error)
    return " ".join(text.split())[:200] or type(error).__name__
