"""Why a program cannot be started, as far as shows without starting it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import InputError
from rvos.files.atomic import open_regular

_SCRIPT = b"#!"
_BINARY = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_LONGEST_LINE = 256
_INTERPRETERS = re.compile(r"python[\d.]*|pypy[\d.]*|ba?sh|dash|zsh|perl|ruby|Rscript|julia|node")
_NO_FILE = ("-c", "-m", "-e")
"""Options after which no file of code follows."""


def find_program(word: str, folder: Path) -> Path | None:
    """Return the file of a program; None where there is none that may be executed.

    Args:
        word: as a shell has it: with a slash a path, else looked for on the path.
        folder: that it runs in.
    """
    if os.sep in word:
        path = folder / word
        return path if path.is_file() and os.access(path, os.X_OK) else None
    found = shutil.which(word)
    return None if found is None else Path(found)


def is_script(path: Path) -> bool:
    """Tell whether a file names its interpreter in its first line."""
    return _read_start(path).startswith(_SCRIPT)


def list_sources(words: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Return the files of code among the words of a program; one that is no script counts by its name alone.

    An update of the system would otherwise make everything again that Python ever made.
    """
    program = find_program(words[0], folder)
    own = [program] if program is not None and is_script(program) else []
    return (*own, *(path for word in words[1:] if (path := folder / word).is_file()))


def explain_program(words: Sequence[str], folder: Path) -> str | None:
    """Return what keeps a program from being started; None: nothing that shows."""
    path = find_program(words[0], folder)
    if path is None:
        if os.sep in words[0] and (folder / words[0]).is_file():
            return f"{folder / words[0]} is not executable; chmod +x it, or name its interpreter first"
        return f"no program {words[0]}; correct the first word of `command`"
    start = _read_start(path)
    if start.startswith(_SCRIPT):
        named = start.removeprefix(_SCRIPT).split(b"\n")[0].decode("utf-8", "replace").split()
        wanted = [word for word in named if not word.startswith("-") and "=" not in word]
        for word in wanted[:2] if wanted and wanted[0].endswith("/env") else wanted[:1]:
            if find_program(word, folder) is None:
                return f"{path} needs {word}, which is not there; correct its first line"
    elif start and not start.startswith(_BINARY):  # of one that may not be read nothing shows
        return f"{path} is no program: its first line does not begin with #!; name its interpreter first"
    return _explain_script(words, folder)


def _explain_script(words: Sequence[str], folder: Path) -> str | None:
    """Return that an interpreter's file of code is missing."""
    if _INTERPRETERS.fullmatch(Path(words[0]).name) is None:
        return None
    code = next((word for word in words[1:] if word in _NO_FILE or not word.startswith("-")), None)
    if code is None or code in _NO_FILE or (folder / code).exists() or not Path(code).suffix:
        return None
    return f"no file {folder / code}, which {words[0]} is to run; correct `command`"


def _read_start(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read(_LONGEST_LINE)
    except (InputError, OSError):
        return b""
