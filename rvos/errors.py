"""Errors that a user can mend: each message is `where: what was found; what to do`."""

from __future__ import annotations


class PipelineError(Exception):
    """Anything wrong that a user can mend; the command line prints it as one line and exits with its status."""

    exit_status = 2
    may_have_lines = False

    def __str__(self) -> str:
        """Return the message; what is not printable in names and contents that it quotes is written as an escape.

        A name may hold a line break or half a character: neither may split the line or stop a terminal.
        """
        return "".join(
            character
            if character.isprintable() or (self.may_have_lines and character == "\n")
            else repr(character)[1:-1]
            for character in super().__str__()
        )


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
