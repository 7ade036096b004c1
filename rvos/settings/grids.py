"""Grids of settings: `KEY=VALUES`, whose values are YAML and stay as they are written."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from rvos.errors import ConfigError


def split_values(text: str, *, where: str) -> list[str]:
    """Return the items of a YAML list, with or without its brackets, each as it is written; ConfigError: none, no YAML.

    `2, 3, '2 of 4'` and `[2, 3, '2 of 4']` are three values, `[a, b], [a]` are two.
    """
    for candidate in (text, f"[{text}]"):
        try:
            spans = list(_find_items(candidate))
        except (yaml.YAMLError, ValueError):
            continue
        if spans:
            return [candidate[start:end] for start, end in spans]
    raise ConfigError(f"{where}: expected values with commas between them, such as 2,3 or [2, 3, '2 of 4']")


def _find_items(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the items of a list stand in its text; nothing where it is no list."""
    depth, start, is_list = 0, 0, False
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if event.start_mark is None or event.end_mark is None:
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif depth == 0 and isinstance(event, yaml.CollectionStartEvent):
            is_list = isinstance(event, yaml.SequenceStartEvent)
        elif depth == 1:
            start = event.start_mark.index
        if is_list and depth == 1 and isinstance(event, yaml.CollectionEndEvent | yaml.ScalarEvent | yaml.AliasEvent):
            yield start, event.end_mark.index
        depth += isinstance(event, yaml.CollectionStartEvent)
