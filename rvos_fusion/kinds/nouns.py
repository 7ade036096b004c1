"""What nodes that look for nouns need to know of the recipe's."""

from __future__ import annotations

from rvos.language.nouns import NounSettings
from rvos_fusion.kinds.base import NodeFile


def noun_files(nouns: NounSettings) -> tuple[NodeFile, ...]:
    """Return the user's file of nouns; what it says of a video counts, not the file."""
    advice = "no such file of nouns; correct nouns.file"
    return () if nouns.file is None else (NodeFile(nouns.file, "nouns", advice, "data"),)
