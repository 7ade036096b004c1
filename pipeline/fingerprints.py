"""Fingerprints: what a result was made of, so that a run does only what is missing or changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.groups import Group
from pipeline.recipe import EngineEntry, FuseNode, ImportNode, MemberNode, Node, PropagateNode
from rvos.errors import InputError
from rvos.files import hash_file, write_atomically
from rvos.json_files import read_json
from rvos.store import FORMAT_VERSION
from rvos.videos import Video

_WITHOUT_EFFECT = frozenset({"compile", "cache_megabytes", "checkpoint", "tokenizer"})


class Checksums:
    """SHA-256 of checkpoints; a file is read again only when its size or time of change differs."""

    def __init__(self, workspace: Path) -> None:
        self._cache = workspace / "checksums.json"
        self._known: dict[str, list[Any]] = _read_cache(self._cache)

    def get(self, path: Path) -> str:
        """Return the checksum of a file, or of the files in a folder.

        Raises:
            InputError: it cannot be read.
        """
        if path.is_dir():
            return _hash([[child.name, self.get(child)] for child in sorted(path.iterdir()) if child.is_file()])
        try:
            status = path.stat()
            key = [status.st_size, status.st_mtime_ns]
            known = self._known.get(str(path.resolve()), [])
            if known[:2] != key:
                known = [*key, hash_file(path)]
                self._known[str(path.resolve())] = known
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
        return str(known[2])

    def save(self) -> None:
        """Keep what is known for the next run."""
        text = json.dumps(self._known, indent=1, sort_keys=True).encode()
        if not self._cache.exists() or self._cache.read_bytes() != text:
            write_atomically(self._cache, text)


def fingerprint_task(
    node: Node,
    video: Video,
    *,
    inputs: Mapping[str, str],
    groups: tuple[Group, ...],
    checksums: Checksums,
) -> str:
    """Return the fingerprint of the result of a node for a video.

    Args:
        inputs: fingerprints of the node's inputs for this video.
        groups: of the video, where they are given and not found by agreement.
    """
    content = {
        "format": FORMAT_VERSION,
        "video": [video.id, video.frames, [expression.id for expression in video.expressions]],
        "inputs": {name: inputs[name] for name in node.inputs},
        "settings": _describe(node, checksums),
        "sources": _describe_sources(node, video),
        "groups": [group.expressions for group in groups],
    }
    return _hash(content)


def _describe(node: Node, checksums: Checksums) -> object:
    """Return the settings that change a node's result."""
    if isinstance(node, MemberNode):
        files = [path for path in (node.settings.checkpoint, node.settings.tokenizer) if path is not None]
        return ["member", _fields(node.settings), [checksums.get(path) for path in files]]
    if isinstance(node, PropagateNode):
        if node.uses_folder() or node.engine is None:
            return ["propagated elsewhere"]
        engine = _describe_engine(node.engine, checksums)
        # Only what differs from the default is added: results of older versions stay valid.
        rule = [] if node.key_rule == "scores" else [node.key_rule]
        return ["propagate", node.source, node.key_frames, node.n_references, engine, *rule]
    if isinstance(node, ImportNode):
        return ["import", node.format, node.values, node.keep_soft]
    return _describe_fusion(node)


def _describe_engine(engine: EngineEntry, checksums: Checksums) -> object:
    options = {key: value for key, value in engine.options.items() if key not in _WITHOUT_EFFECT}
    return [engine.network, engine.scales, engine.flip, options, checksums.get(engine.checkpoint)]


def _describe_fusion(node: FuseNode) -> object:
    rule = node.rule
    singles = None if rule.singles is None else [_text(rule.singles.threshold), rule.singles.only]
    agreement = [node.groups.members, node.groups.threshold] if node.groups.by == "agreement" else None
    weights = [str(weight) for weight in rule.weights]
    return ["fuse", node.members, weights, rule.method, _text(rule.threshold), singles, rule.scores, agreement]


def _text(threshold: Any) -> str | None:
    return None if threshold is None else f"{threshold.kind} {threshold.value}"


def _fields(settings: Any) -> dict[str, object]:
    pairs = ((field.name, getattr(settings, field.name)) for field in dataclasses.fields(settings))
    return {name: value for name, value in pairs if name not in _WITHOUT_EFFECT}


def _describe_sources(node: Node, video: Video) -> object:
    """Return what identifies the files that a node reads for a video, without reading them."""
    if isinstance(node, MemberNode):
        return [[expression.text for expression in video.expressions], _sizes(video)]
    if isinstance(node, ImportNode):
        return _stamp_import(node.path, video) if node.format != "dump" else _stamp(node.path)
    if isinstance(node, PropagateNode):
        folder = node.folder if node.uses_folder() else None
        return _sizes(video) if folder is None else _stamp_import(folder, video)
    return None


def _stamp_import(path: Path, video: Video) -> object:
    """Return the stamps of what a folder or archive holds of a video, and of the key frames beside it."""
    if not path.is_dir():
        return _stamp(path)
    key_frames = [path / "key_frame.json", path.parent / "key_frame.json"]
    places = [path / video.id, path / "Annotations" / video.id, path / f"{video.id}.json", *key_frames]
    return [_stamp(place) for place in places]


def _sizes(video: Video) -> list[int]:
    """Return the bytes of every image: enough to tell data sets apart, and the same for copies."""
    return [path.stat().st_size if path.is_file() else -1 for path in video.image_paths]


def _stamp(path: Path) -> object:
    """Return size and time of change of a file, or of every file below a folder."""
    if path.is_dir():
        return [[child.name, _stamp(child)] for child in sorted(path.iterdir())]
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _hash(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read_cache(path: Path) -> dict[str, list[Any]]:
    try:
        content = read_json(path)
    except InputError:
        return {}
    rows = content.items() if isinstance(content, dict) else ()
    return {name: row for name, row in rows if isinstance(row, list) and len(row) == 3}
