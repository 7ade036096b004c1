"""Files that are either whole or absent, read with a bound, named by their checksum."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rvos.errors import InputError, PipelineError, StoreError
from rvos.files.leftovers import clear_leftovers, name_part

_BLOCK = 1 << 20
LARGEST_FILE = 1 << 30
_NOT_SYNCHRONISED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def write_atomically(path: Path, blocks: Iterable[bytes] | bytes) -> None:
    """Write a file, never a part of it, and its folders. Raises StoreError: no space, no rights, or no folder."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.writelines([blocks] if isinstance(blocks, bytes) else blocks)


def write_text(path: Path, text: str) -> None:
    """Write text as `write_atomically` does; of names that are no UTF-8 the odd bytes are written as escapes.

    Such an escape is also JSON's.
    """
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; what stands there at the end takes the place of `path` in one step.

    After an error `path` is as it was. A link at `path` is replaced, not followed.

    Raises:
        StoreError: the disk is full, the folder is read-only, or a parent is no folder.
    """
    _check_name(path)
    temporary = path.with_name(name_part(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        with temporary.open("rb+") as stream:
            _synchronise(stream.fileno())
        # As the umask has it: some libraries write files that nobody else may read.
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            temporary.chmod(mode)
        temporary.replace(path)
        _synchronise_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); free disk space or choose a folder you may write"
        ) from None
    finally:
        _remove(temporary)
    clear_leftovers(path.parent)


def append_text(path: Path, text: str) -> None:
    """Add text to the end of a file; a link, pipe or device that stands there is replaced by a file.

    Of names that are no UTF-8 the odd bytes are written as escapes. Raises StoreError: it cannot be written.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.unlink()
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.write(text)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); results are kept") from None


def check_inside(path: Path, folder: Path) -> None:
    """Check that no link leads a path out of a folder, which may be a link itself. Raises StoreError: one does."""
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve()) and (path.exists() or not path.is_symlink())
    except (OSError, RuntimeError):  # a link to itself
        is_inside = False
    if not is_inside:
        raise StoreError(f"{path}: a link leads out of the workspace; remove it and run again")


def read_whole(path: Path, *, most: int = LARGEST_FILE) -> bytes:
    """Return a regular file of at most `most` bytes, waiting for no pipe. Raises InputError: missing, other, larger."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > most:
                raise InputError(f"{path}: {size} bytes, at most {most} are read; check the file")
            return stream.read(size)  # `read(most)` would set aside that much
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def open_regular(path: Path, *, what: str = "file", error: type[PipelineError] = InputError) -> BinaryIO:
    """Return a regular file, opened for reading; pipes and devices are never waited for.

    Args:
        what: what the file should be, for messages.
        error: what to raise.

    Raises:
        PipelineError: of the given class: missing, no regular file, or it cannot be opened.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer that may never come.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise error(f"{path}: no such {what}; check the path") from None
    except (OSError, ValueError) as reason:
        raise error(
            f"{path}: cannot be read ({getattr(reason, 'strerror', None) or reason}); check the path and its rights"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise error(f"{path}: not a {what} but a folder, pipe or device; check the path")
    return os.fdopen(handle, "rb")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal. Raises InputError: missing, or it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    return digest.hexdigest()


def _check_name(path: Path) -> None:
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = b"\0"
    if b"\0" in name:
        raise StoreError(f"{str(path)!a}: no name of a file; leave the odd characters out")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a parent is no folder or is read-only: nothing was made
        return


def _synchronise_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            _synchronise(handle)
    finally:
        os.close(handle)


def _synchronise(handle: int) -> None:
    """Make what was written durable, where the system can: some network mounts cannot, and hold it all the same."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SYNCHRONISED:
            raise
