"""The tasks of one node, made when they are asked for: a run may have a hundred thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from rvos.videos import Video
from rvos_fusion.kinds.base import Node, Task
from rvos_fusion.kinds.versions import Versions


@dataclass(frozen=True, slots=True)
class NodeTasks(Sequence[Task]):
    """The tasks of a node, one for each video.

    Args:
        fingerprints: of the node and of its inputs, by name, each by video, as bytes: half of what texts take.
        versions: of all that makes its results.
    """

    node: Node
    videos: Sequence[Video]
    fingerprints: Mapping[str, Sequence[bytes]]
    workspace: Path
    device: str
    versions: Versions

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        """Return the task for a video."""
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        inputs = tuple((name, self.fingerprints[name][places].hex()) for name in self.node.inputs())
        fingerprint = self.fingerprints[self.node.name][places].hex()
        return Task(self.node, self.videos[places], inputs, fingerprint, self.workspace, self.device, self.versions)
