"""Fingerprints: what a result was made of, so that a run does only what is missing or changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rvos.masks.stored.store import FORMAT_VERSION
from rvos.videos import Video
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.checksums import Checksums, hash_json
from rvos_fusion.kinds.versions import list_versions


def fingerprint_nodes(
    nodes: Iterable[Node], video: Video, checksums: Checksums, known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the fingerprints of the results of nodes for a video, by name; each node after its inputs.

    `known` are those that need not be found.
    """
    found = dict(known)
    for node in nodes:
        if node.name not in found:
            found[node.name] = fingerprint_task(node, video, inputs=found, checksums=checksums)
    return found


def fingerprint_task(node: Node, video: Video, *, inputs: Mapping[str, str], checksums: Checksums) -> str:
    """Return the fingerprint of the result of a node for a video, given those of its inputs.

    Two results with one fingerprint must be the same, on any machine and in any folder: names of files and times do
    not count where their content can be read, and nothing that changes a mask may be left out.
    """
    node = node.of_video(video)
    content = {
        # Files of an older form could not be read even if all else is equal.
        "format": FORMAT_VERSION,
        "versions": list_versions(node),
        # The frames' names are stored with the masks, and so are the names of the parts: another order of the same
        # expressions is another file.
        "video": [video.id, video.frames, node.artefact.parts(video)],
        # Fingerprints of inputs hold all that they stand on, so a change anywhere below reaches this node.
        "inputs": {name: inputs[name] for name in node.inputs()},
        "settings": node.settings(),
        # Data are left to `sources`: a folder of masks is too large to be read whole for each of its videos.
        "files": [checksums.get(file.path) for file in node.files() if file.use in ("checkpoint", "settings")],
        "sources": node.sources(video, checksums),
    }
    return hash_json(content)
