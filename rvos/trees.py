"""Folders and zip archives of results, read alike: names with `/`, bytes of a file, what a folder holds."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from rvos.errors import InputError

_READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class Tree(Protocol):
    """A read-only tree of files."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""

    def children(self, path: str = "") -> tuple[str, ...]:
        """Names in a folder, sorted; empty where there is no such folder."""

    def read(self, path: str) -> bytes:
        """Bytes of a file; InputError where it is missing or damaged."""

    def below(self, path: str) -> Tree:
        """The tree of a sub-folder."""


@dataclass(frozen=True, slots=True)
class FolderTree:
    """A folder on disk."""

    root: Path

    @property
    def name(self) -> str:
        """Path of the folder."""
        return str(self.root)

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return (self.root / path).exists()

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return (self.root / path).is_dir()

    def children(self, path: str = "") -> tuple[str, ...]:
        """Names in a folder, sorted."""
        folder = self.root / path
        return tuple(sorted(child.name for child in folder.iterdir())) if folder.is_dir() else ()

    def read(self, path: str) -> bytes:
        """Bytes of a file."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            raise InputError(f"{self.root / path}: no such file; restore it") from None
        except OSError as error:
            raise InputError(f"{self.root / path}: cannot be read ({error.strerror}); check the file") from None

    def below(self, path: str) -> FolderTree:
        """The tree of a sub-folder."""
        return FolderTree(self.root / path)


class ZipTree:
    """A zip archive, or a folder in it; the archive is opened once in each process."""

    def __init__(self, path: Path, prefix: str = "", archive: _Archive | None = None) -> None:
        self._path = path
        self._prefix = prefix
        self._archive = archive

    @property
    def name(self) -> str:
        """Path of the archive and of the folder in it."""
        return f"{self._path}/{self._prefix}".rstrip("/")

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        full = self._full(path)
        return full in self._open().folders or full in self._open().files

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return self._full(path) in self._open().folders

    def children(self, path: str = "") -> tuple[str, ...]:
        """Names in a folder, sorted."""
        return tuple(sorted(self._open().folders.get(self._full(path), ())))

    def read(self, path: str) -> bytes:
        """Bytes of a file."""
        opened = self._open()
        if self._full(path) not in opened.files:
            raise InputError(f"{self._path}: no {self._full(path)} in the archive; add it")
        try:
            return opened.zip.read(self._full(path))
        except _READ_ERRORS as error:
            raise InputError(f"{self._path}: {self._full(path)} is damaged ({error}); make the archive again") from None

    def below(self, path: str) -> ZipTree:
        """The tree of a sub-folder."""
        return ZipTree(self._path, self._full(path), self._open())

    def _full(self, path: str) -> str:
        return "/".join(part for part in (self._prefix, path) if part).rstrip("/")

    def _open(self) -> _Archive:
        if self._archive is None:
            self._archive = _Archive.open(self._path)
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        """Leave the open archive behind: another process opens its own."""
        return self.__dict__ | {"_archive": None}


@dataclass(frozen=True, slots=True, eq=False)
class _Archive:
    """An opened archive and its folders."""

    zip: zipfile.ZipFile
    files: frozenset[str]
    folders: Mapping[str, set[str]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> _Archive:
        """Open an archive whose names are safe and distinct.

        Raises:
            InputError: missing, no archive, or names that are absolute, climb out or repeat.
        """
        try:
            archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; check the path") from None
        except _READ_ERRORS as error:
            raise InputError(f"{path}: not a whole zip archive ({error}); make it again") from None
        names = [name for name in archive.namelist() if not name.endswith("/")]
        check_names(names, where=str(path))
        folders: dict[str, set[str]] = {"": set()}
        for name in archive.namelist():
            parts = name.strip("/").split("/")
            for depth in range(len(parts)):
                folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
            if name.endswith("/"):
                folders.setdefault(name.strip("/"), set())
        return cls(archive, frozenset(names), folders)


def check_names(names: Iterable[str], *, where: str) -> None:
    """Check the names in an archive.

    Raises:
        InputError: a name is absolute, climbs out of the archive, or occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts or ":" in name:
            raise InputError(f"{where}: unsafe name {name!r}; make the archive again with names below its root")
        if name in seen:
            raise InputError(f"{where}: {name} is in the archive twice; make it again")
        seen.add(name)


def open_tree(path: Path) -> Tree:
    """Return the tree of a folder or a zip archive.

    Raises:
        InputError: neither a folder nor a zip archive.
    """
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise InputError(f"{path}: no such folder or zip archive; check the path")
    tree = ZipTree(path)
    tree.children()
    return tree


def open_data(path: Path) -> Tree:
    """Return the tree of a data set; in an archive, below folders that hold nothing but one folder.

    Raises:
        InputError: neither a folder nor a zip archive.
    """
    tree = open_tree(path)
    while isinstance(tree, ZipTree) and len(tree.children()) == 1 and tree.is_folder(tree.children()[0]):
        tree = tree.below(tree.children()[0])
    return tree
