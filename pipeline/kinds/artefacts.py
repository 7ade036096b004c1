"""What nodes store: how each sort of result is written, and what of a video names its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rvos.store import Store
from rvos.videos import Video


class Artefact(Protocol):
    """A sort of stored result."""

    @property
    def name(self) -> str:
        """In words, such as "mask sequences"."""
        ...

    def parts(self, video: Video) -> Sequence[str]:
        """Return the names that a result of this video is indexed by; they enter every fingerprint."""
        ...

    def write(self, store: Store, node: str, video: Video, value: Any, fingerprint: str) -> None:
        """Store a result.

        Raises:
            StoreError: it cannot be written.
        """
        ...


class MaskSequences:
    """One mask sequence for each expression of a video: what can be fused, scored, drawn and submitted."""

    name = "mask sequences"

    def parts(self, video: Video) -> Sequence[str]:
        """Return the expressions."""
        return [expression.id for expression in video.expressions]

    def write(self, store: Store, node: str, video: Video, value: Any, fingerprint: str) -> None:
        """Store the sequences."""
        store.write(node, video.id, value, fingerprint)


MASKS = MaskSequences()
