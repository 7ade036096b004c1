"""What killed writers leave: temporary files whose names tell who wrote them, so that only a dead one's are removed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

_ABANDONED = 3600.0
_OWNED = re.compile(r".*\.([0-9a-f]{8})-([0-9a-f]{1,8})", re.DOTALL)
_PART = re.compile(r"\..*\.([0-9a-f]{8})-([0-9a-f]{1,8})-[0-9a-f]{12}\.part", re.DOTALL)


def name_part(name: str) -> str:
    """Return a new name for what will be called `name` when it is whole, with this machine and process in it."""
    return f".{name_owned(name[:40])}-{secrets.token_hex(6)}.part"


def name_owned(name: str) -> str:
    """Return a name that belongs to this process of this machine."""
    return f"{name}.{_describe_machine()}-{os.getpid():x}"


def is_abandoned(folder: Path) -> bool:
    """Tell whether the process that `name_owned` named a folder for has ended, or nobody's name stands there."""
    owner = _OWNED.fullmatch(folder.name)
    return owner is None or _is_abandoned(*owner.groups(), changed=folder.stat().st_mtime)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder.

    A dead process of this machine is known at once. What runs on another machine, or as another process under a number
    that was used before, is not: such parts go when they are an hour old, as no file takes that long to write.
    """
    try:
        with os.scandir(folder) as entries:
            parts = [(entry, found) for entry in entries if (found := _PART.fullmatch(entry.name))]
    except OSError:
        return
    for part, (machine, process) in ((part, found.groups()) for part, found in parts):
        try:
            changed = part.stat(follow_symlinks=False).st_mtime
            if _is_abandoned(machine, process, changed=changed) and part.is_file(follow_symlinks=False):
                os.unlink(part)
        except OSError:
            continue


def _is_abandoned(machine: str, process: str, *, changed: float) -> bool:
    is_dead = machine == _describe_machine() and not _lives(int(process, 16))
    return is_dead or time.time() - changed > _ABANDONED


def _lives(process: int) -> bool:
    """Tell whether a process of this machine may still run."""
    if os.name != "posix":  # elsewhere signal 0 is not a question: it ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


@cache
def _describe_machine() -> str:
    """Return eight digits for everything in which a number of a process means the same process.

    The name alone is not enough: containers of one machine may share it and still count their processes apart, and
    after a restart of the machine the numbers begin again.
    """
    known = [platform.node()]
    with suppress(OSError):  # these two are Linux's
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]
