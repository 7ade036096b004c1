"""Store of results: one checked, self-describing file `WORKSPACE/nodes/NODE/VIDEO.masks` for each node and video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rvos.errors import StoreError
from rvos.files.atomic import check_inside, write_atomically
from rvos.ids import check_id, check_path, escape_path, unescape_path
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored import MASK_SEQUENCES, Codec
from rvos.masks.stored.container import FORMAT_VERSION, Container, Description, open_container, pack
from rvos.masks.stored.mask_sequences import MaskSequenceCodec

__all__ = ["FORMAT_VERSION", "SUFFIX", "Store"]

SUFFIX = ".masks"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """The results of all nodes below one workspace folder; safe to kill and to resume."""

    workspace: Path

    def path(self, node: str, video: str) -> Path:
        """Return the file of a node and video. Raises InputError: an id that would leave the workspace."""
        check_id(node, where=str(self.workspace), what="node")
        check_path(video, where=str(self.workspace), what="video")
        return self.workspace / "nodes" / node / f"{escape_path(video)}{SUFFIX}"

    def write(self, node: str, video_id: str, sequences: Sequence[MaskSequence], fingerprint: str) -> Path:
        """Write the sequences of all expressions of a video in one step and return the file.

        Raises:
            InputError: unsafe ids, or sequences of another video, other frames, another size or repeated expressions.
            StoreError: the file cannot be written.
        """
        return self.write_artefact(node, video_id, tuple(sequences), fingerprint, codec=MASK_SEQUENCES)

    def read(
        self, node: str, video_id: str, fingerprint: str | None = None, *, soft: bool = True, queries: bool = False
    ) -> tuple[MaskSequence, ...]:
        """Return the sequences of a node and video, in the order they were written.

        Args:
            fingerprint: refuse a file of another one; None, where no recipe is at hand, takes any.
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
        path = self.path(node, video_id)
        check_inside(path.parent, self.workspace)
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
            fingerprint: refuse a file of another one; None, where no recipe is at hand, takes any.

        Raises:
            StoreError: missing, damaged, truncated, foreign, of another fingerprint, or another sort of artefact.
        """
        path = self._find(node, video_id)
        with open_container(path) as container:
            _check_origin(path, container.description, node, video_id, fingerprint)
            _check_artefact(path, container, codec.name)
            return codec.unpack(video_id, container.description.content, container.read)

    def has(self, node: str, video: str, fingerprint: str | None = None) -> bool:
        """Tell whether a whole file of this fingerprint is there; all checksums are tested."""
        try:
            path = self._find(node, video)
            with open_container(path) as container:
                _check_origin(path, container.description, node, video, fingerprint)
                container.check()
        except StoreError:
            return False
        return True

    def header(self, node: str, video: str) -> Description:
        """Return what a stored file says of itself. Raises StoreError: missing, damaged or foreign."""
        with open_container(self._find(node, video)) as container:
            return container.description

    def videos(self, node: str) -> tuple[str, ...]:
        """Return the ids of the videos that a node has a file for, sorted."""
        folder = self.path(node, "x").parent
        return tuple(sorted(unescape_path(path.name[: -len(SUFFIX)]) for path in folder.glob(f"[!.]*{SUFFIX}")))

    def nodes(self) -> tuple[str, ...]:
        """Return the names of the nodes that have a folder, sorted."""
        return tuple(sorted(path.name for path in (self.workspace / "nodes").glob("[!.]*") if path.is_dir()))

    def _find(self, node: str, video: str) -> Path:
        path = self.path(node, video)
        check_inside(path, self.workspace)
        return path


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
