"""Folders and zip archives of results, read alike: names with `/`, bytes of a file, what a folder holds."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rvos.errors import InputError
from rvos.files.archives import check_names, open_archive, read_member
from rvos.files.atomic import LARGEST_FILE, read_whole
from rvos.files.names import find_named, is_system_path, list_names

_TOP_FOLDER = "Annotations"
_MASK_SUFFIX = ".png"
_MASK_DEPTH = 3
_MOST_WRAPPED = 4


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
        """Names in a folder, sorted, without what systems leave; empty where there is no such folder."""

    def read(self, path: str, *, most: int = LARGEST_FILE) -> bytes:
        """Bytes of a file; InputError where it is missing, damaged or of more than `most` bytes."""

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
        return os.path.exists(find_named(self.root, path))

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return os.path.isdir(find_named(self.root, path))

    def children(self, path: str = "") -> tuple[str, ...]:
        """Names in a folder, composed and sorted. Raises InputError: it cannot be read, or two names are one."""
        folder = find_named(self.root, path)
        try:
            return tuple(sorted(list_names(folder)))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return ()
        except OSError as error:
            raise InputError(f"{folder}: cannot be read ({error.strerror}); check its rights") from None

    def read(self, path: str, *, most: int = LARGEST_FILE) -> bytes:
        """Bytes of a file."""
        file = find_named(self.root, path)
        if not os.path.lexists(file):
            raise InputError(f"{file}: no such file; restore it")
        return read_whole(file, most=most)

    def below(self, path: str) -> FolderTree:
        """The tree of a sub-folder."""
        return FolderTree(find_named(self.root, path))


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
        """Names in a folder, sorted, without what systems leave."""
        return tuple(sorted(self._open().folders.get(self._full(path), ())))

    def read(self, path: str, *, most: int = LARGEST_FILE) -> bytes:
        """Bytes of a file."""
        opened = self._open()
        if self._full(path) not in opened.files:
            raise InputError(f"{self._path}: no {self._full(path)} in the archive; add it")
        return read_member(opened.zip, self._full(path), where=f"{self._path}: {self._full(path)}", most=most)

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
        """Open an archive. Raises InputError: none, or names that are absolute, climb out or repeat."""
        archive = open_archive(path)
        listed = [name for name in archive.namelist() if not is_system_path(name)]
        names = [name for name in listed if not name.endswith("/")]
        check_names(names, where=str(path))
        folders: dict[str, set[str]] = {"": set()}
        for name in listed:
            parts = name.strip("/").split("/")
            for depth in range(len(parts)):
                folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
            if name.endswith("/"):
                folders.setdefault(name.strip("/"), set())
        return cls(archive, frozenset(names), folders)


def list_masks(folder: Tree) -> dict[str, str]:
    """Return frame -> file name of the masks in a folder: `.png` in any case of letters, small ones first."""
    found: dict[str, str] = {}
    for name in reversed(folder.children()):  # sorted, small letters come last
        stem, suffix = os.path.splitext(name)
        if suffix.lower() == _MASK_SUFFIX:
            found.setdefault(stem, name)
    return found


def name_mask(frame: str) -> str:
    """Return the file name of a frame's mask."""
    return f"{frame}{_MASK_SUFFIX}"


def open_tree(path: Path) -> Tree:
    """Return the tree of a folder or a zip archive. Raises InputError: neither a folder nor a zip archive."""
    if os.path.isdir(path):
        return FolderTree(path)
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such folder or zip archive; check the path")
    tree = ZipTree(path)
    tree.children()
    return tree


def open_data(path: Path, *, known: frozenset[str] = frozenset()) -> Tree:
    """Return the tree of a data set, below folders that hold nothing but one folder.

    Args:
        known: names of folders that belong to the data set, and are not one too many.

    Raises:
        InputError: neither a folder nor a zip archive.
    """
    tree = open_tree(path)
    for _ in range(_MOST_WRAPPED):
        names = tree.children()
        if len(names) != 1 or not tree.is_folder(names[0]) or (isinstance(tree, FolderTree) and names[0] in known):
            break
        tree = tree.below(names[0])
    return tree


def open_masks(path: Path, paths: Collection[str] = ()) -> Tree:
    """Return the folder of videos in a folder or archive of `<video>/<expression>/<frame>`.

    It may lie below `Annotations`, and below one folder too many.

    Args:
        paths: ids of videos that are paths, whose first folders are none too many.

    Raises:
        InputError: neither a folder nor a zip archive.
    """
    tree, tops = open_tree(path), {one.partition("/")[0] for one in paths}
    for _ in range(_MOST_WRAPPED):
        names = tree.children()
        if _TOP_FOLDER in names and tree.is_folder(_TOP_FOLDER):
            return tree.below(_TOP_FOLDER)
        if len(names) != 1 or names[0] in tops or not tree.is_folder(names[0]) or _measure_depth(tree) <= _MASK_DEPTH:
            break
        tree = tree.below(names[0])
    return tree


def _measure_depth(tree: Tree) -> int:
    """Return how many names lead to the first file, at most one more than masks need."""
    depth = 0
    while (names := tree.children()) and depth <= _MASK_DEPTH:
        depth += 1
        folder = next((name for name in names if tree.is_folder(name)), None)
        if folder is None:
            break
        tree = tree.below(folder)
    return depth
