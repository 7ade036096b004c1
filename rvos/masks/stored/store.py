"""Store of results: one checked, self-describing file for each node, video and setting.

The first result of a node and video lies in `WORKSPACE/nodes/NODE/VIDEO.masks`; those of other settings lie in
`nodes/NODE/VIDEO/NAME.masks`, where the name is the start of the fingerprint, which every file holds. `current.csv`
says which of them the last run meant, for readers without a recipe. Where a result lies, `Store.path` alone knows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rvos.errors import StoreError
from rvos.files.atomic import check_inside, write_atomically
from rvos.ids import check_id, check_path, escape_path, unescape_path
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored import MASK_SEQUENCES, Codec
from rvos.masks.stored.container import FORMAT_VERSION, Container, Description, open_container, pack
from rvos.masks.stored.index import Names, ResultIndex, name_result
from rvos.masks.stored.mask_sequences import MaskSequenceCodec

__all__ = ["FORMAT_VERSION", "SUFFIX", "Store", "StoredFile"]

SUFFIX = ".masks"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The file of a result; `name` is None where a damaged file does not tell its fingerprint."""

    node: str
    video: str
    name: str | None
    path: Path


@dataclass(frozen=True, slots=True)
class Store:
    """The results of all nodes below one workspace folder; safe to kill and to resume."""

    workspace: Path

    @property
    def index(self) -> ResultIndex:
        """The file that says which results are current."""
        return ResultIndex(self.workspace / "current.csv")

    def path(self, node: str, video: str, fingerprint: str | None = None) -> Path:
        """Return the file of a node and video, there or not; None: the current one, or else the newest.

        Raises InputError: an id that would leave the workspace.
        """
        folder, first = self.folder(node, video), self._first(node, video)
        name = self.index.read().get((node, video)) if fingerprint is None else name_result(fingerprint)
        if name is not None:
            path = folder / f"{name}{SUFFIX}"
            if os.path.lexists(path):
                return path
            if os.path.lexists(first) and _is_of(first, name, alone=not first.is_symlink() and not _list_files(folder)):
                return first
            if fingerprint is not None:
                return path if os.path.lexists(first) or _list_files(folder) else first
        # A run that was killed before it noted what it had stored, or a file that somebody removed.
        return max(_list_files(folder, first), key=lambda found: found.lstat().st_mtime_ns, default=first)

    def find_place(self, node: str, video: str, fingerprint: str) -> Path:
        """Return the file that alone can hold a result which is there; unopened, so that it may be another's."""
        path = self.folder(node, video) / f"{name_result(fingerprint)}{SUFFIX}"
        return path if os.path.lexists(path) else self._first(node, video)

    def folder(self, node: str, video: str) -> Path:
        """Return the folder of all settings' results. Raises InputError: an id that would leave the workspace."""
        check_id(node, where=str(self.workspace), what="node")
        check_path(video, where=str(self.workspace), what="video")
        return self.workspace / "nodes" / node / escape_path(video)

    def _first(self, node: str, video: str) -> Path:
        """Return the place of the first result; those of other settings lie in a folder of its name."""
        folder = self.folder(node, video)
        return folder.with_name(f"{folder.name}{SUFFIX}")

    def make_current(self, names: Names) -> None:
        """Note which results a run meant, and when; StoreError where the index cannot be written."""
        known = self.index.read()
        switched = {key: name for key, name in names.items() if known.get(key, name) != name}
        self.index.add(names)
        for (node, video), name in switched.items():
            with suppress(OSError):  # removed in the meantime
                first, path = self._first(node, video), self.folder(node, video) / f"{name}{SUFFIX}"
                os.utime(path if os.path.lexists(path) else first)

    def files(self) -> Iterator[StoredFile]:
        """Yield the files of all results, node by node and video by video. Raises StoreError: a link leads out."""
        for node in self.nodes():
            check_inside(self.workspace / "nodes" / node, self.workspace)
            for video in self.videos(node):
                check_inside(self.folder(node, video), self.workspace)
                yield from self.settings(node, video)

    def measure(self) -> int:
        """Return the bytes of all results."""
        places = (self.workspace / "nodes").glob(f"*/**/*{SUFFIX}")
        return sum(path.lstat().st_size for path in places if path.is_file())

    def settings(self, node: str, video: str) -> Iterator[StoredFile]:
        """Yield the files of a node and video, of all settings."""
        first = self._first(node, video)
        for path in _list_files(self.folder(node, video), first):
            yield StoredFile(node, video, _read_name(path) if path == first else path.name.removesuffix(SUFFIX), path)

    def write(self, node: str, video_id: str, sequences: Sequence[MaskSequence], fingerprint: str) -> Path:
        """Write the sequences of all expressions of a video in one step, make them current and return the file.

        Raises:
            InputError: unsafe ids, or sequences of another video, other frames, another size or repeated expressions.
            StoreError: the file cannot be written.
        """
        path = self.write_artefact(node, video_id, tuple(sequences), fingerprint, codec=MASK_SEQUENCES)
        self.make_current({(node, video_id): name_result(fingerprint)})
        return path

    def read(
        self, node: str, video_id: str, fingerprint: str | None = None, *, soft: bool = True, queries: bool = False
    ) -> tuple[MaskSequence, ...]:
        """Return the sequences of a node and video, in the order they were written.

        Args:
            fingerprint: of the settings that are asked for; None, where no recipe is at hand: the current one's.
            soft: False leaves the soft maps on disk.
            queries: read the queries of annotated frames, where they were kept.

        Raises:
            StoreError: missing, damaged, truncated, foreign, of another fingerprint, or no mask sequences.
        """
        return self.read_artefact(node, video_id, fingerprint, codec=MaskSequenceCodec(soft, queries))

    def write_artefact(
        self,
        node: str,
        video_id: str,
        value: T,
        fingerprint: str,
        *,
        codec: Codec[T],
        versions: Mapping[str, int] | None = None,
    ) -> Path:
        """Write any artefact of a node and video in one step and return the file.

        Args:
            versions: of what made it, by name.

        Raises:
            InputError: unsafe ids, or a value whose parts do not belong together.
            StoreError: the file cannot be written, or would be too large to be read again.
        """
        path = self.path(node, video_id, fingerprint)
        check_inside(path, self.workspace)
        packed = codec.pack(video_id, value)
        try:
            about = Description(codec.name, node, video_id, fingerprint, packed.description, versions or {})
            content = pack(about, packed)
        except ValueError as error:
            raise StoreError(f"{path}: cannot be stored ({error}); cut the video or keep no soft maps") from None
        write_atomically(path, content)
        return path

    def read_artefact(self, node: str, video_id: str, fingerprint: str | None = None, *, codec: Codec[T]) -> T:
        """Return what a node stored for a video.

        Args:
            fingerprint: of the settings that are asked for; None, where no recipe is at hand: the current one's.

        Raises:
            StoreError: missing, damaged, truncated, foreign, of another fingerprint, or another sort of artefact.
        """
        path = self._find(node, video_id, fingerprint)
        with open_container(path) as container:
            _check_origin(path, container.description, node, video_id, fingerprint)
            _check_artefact(path, container, codec.name)
            return codec.unpack(video_id, container.description.content, container.read)

    def has(self, node: str, video: str, fingerprint: str | None = None) -> bool:
        """Tell whether a whole file of this fingerprint is there; all checksums are tested."""
        try:
            place = self.path(node, video) if fingerprint is None else self.find_place(node, video, fingerprint)
            check_inside(place, self.workspace)
            with open_container(place) as container:
                _check_origin(place, container.description, node, video, fingerprint)
                container.check()
        except StoreError:
            return False
        return True

    def header(self, node: str, video: str, fingerprint: str | None = None) -> Description:
        """Return what a stored file says of itself; raises a StoreError as `read_artefact` does."""
        path = self._find(node, video, fingerprint)
        with open_container(path) as container:
            _check_origin(path, container.description, node, video, fingerprint)
            return container.description

    def videos(self, node: str) -> tuple[str, ...]:
        """Return the ids of the videos that a node has a file for, sorted."""
        places = list(self.folder(node, "x").parent.glob("[!.]*"))
        first = {path.name.removesuffix(SUFFIX) for path in places if path.name.endswith(SUFFIX) and not path.is_dir()}
        return tuple(sorted(map(unescape_path, first | {path.name for path in places if _list_files(path)})))

    def nodes(self) -> tuple[str, ...]:
        """Return the names of the nodes that have a folder, sorted."""
        return tuple(sorted(path.name for path in (self.workspace / "nodes").glob("[!.]*") if path.is_dir()))

    def _find(self, node: str, video: str, fingerprint: str | None) -> Path:
        path = self.path(node, video, fingerprint)
        check_inside(path, self.workspace)
        if fingerprint is not None and not os.path.lexists(path) and self.path(node, video).exists():
            raise StoreError(f"{path}: made with other settings or inputs; run the node again")
        return path


def _list_files(folder: Path, first: Path | None = None) -> list[Path]:
    """Return the first result of a node and video, if that is there, and the files in their folder, sorted."""
    plain = [] if first is None or not os.path.lexists(first) or first.is_dir() else [first]
    return [*plain, *sorted(folder.glob(f"[!.]*{SUFFIX}"))]


def _is_of(first: Path, name: str, *, alone: bool) -> bool:
    """Tell whether a first result has a name; a damaged one, which does not tell, has any where it is alone."""
    own = _read_name(first)
    return alone if own is None else own == name


def _read_name(path: Path) -> str | None:
    """Return the name that the result in a file has among others; None where the file does not tell."""
    try:
        with open_container(path) as container:
            return name_result(container.description.fingerprint)
    except StoreError:
        return None


def _check_origin(path: Path, found: Description, node: str, video: str, fingerprint: str | None) -> None:
    if (found.node, found.video) != (node, video):
        raise StoreError(
            f"{path}: holds node {found.node}, video {found.video}; it was moved or renamed, delete it and run again"
        )
    if fingerprint is not None and found.fingerprint != fingerprint:
        raise StoreError(f"{path}: made with other settings or inputs; run the node again")


def _check_artefact(path: Path, container: Container, name: str) -> None:
    if container.description.artefact != name:
        raise StoreError(f"{path}: holds {container.description.artefact}, expected {name}; name another node")
