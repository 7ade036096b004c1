"""The state dict in a checkpoint, and its names without what trainers, compiled, averaged and parallel models add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Official scripts; Lightning; DeepSpeed.
ENVELOPES = ("model", "model_state_dict", "state_dict", "module")
# `torch.compile`; DataParallel, DistributedDataParallel and AveragedModel. They may stand around any part.
_WRAPPERS = frozenset({"_orig_mod", "module"})
# What trainers call the one network they hold. A part of a network may be called so too: only around the whole.
_OUTER_WRAPPERS = _WRAPPERS | {"model", "net", "network", "_forward_module", "ema_model", "ema"}
# AveragedModel keeps its number of updates beside the model that it wraps.
_COUNTER = "n_averaged"


def find_state(content: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], str]:
    """Return the innermost state dict of a checkpoint and the entry that holds it; a bare one is in no entry: ""."""
    entries: list[str] = []
    # No script nests deeper; a pickled mapping may hold itself.
    for _ in ENVELOPES:
        entry = next((name for name in ENVELOPES if isinstance(content.get(name), Mapping)), None)
        if entry is None:
            break
        content = content[entry]
        entries.append(entry)
    return content, ".".join(entries)


def unwrap_names(names: Iterable[str]) -> dict[str, str]:
    """Return name in the file -> name in the network, for wrappers around the network or any part of it.

    A part is wrapped where everything in it lies below the wrapper. The counter of an averaged model has no entry.
    """
    split = {name: tuple(name.split(".")) for name in names}
    wrapped: Counter[tuple[str, ...]] = Counter()
    for words in split.values():
        # The last word names the parameter itself.
        wrapped.update(words[: place + 1] for place, word in enumerate(words[:-1]) if word in _WRAPPERS)
    parts = {words[:-1] for words in wrapped}
    sizes: Counter[tuple[str, ...]] = Counter()
    for words in split.values():
        sizes.update(
            words[:place] for place in range(len(words)) if words[:place] in parts and words[place:] != (_COUNTER,)
        )
    inner = {
        name: tuple(
            word
            for place, word in enumerate(words)
            if not (word in _WRAPPERS and place < len(words) - 1 and _is_whole(words[: place + 1], wrapped, sizes))
        )
        for name, words in split.items()
        if not (words[-1] == _COUNTER and _is_whole((*words[:-1], "module"), wrapped, sizes))
    }
    while find_common_start(inner.values()) in _OUTER_WRAPPERS:
        inner = {name: words[1:] for name, words in inner.items()}
    return {name: ".".join(words) for name, words in inner.items()}


def find_common_start(names: Iterable[tuple[str, ...]]) -> str | None:
    """Return the first word that all names share and that is no whole name; None: there is no such word."""
    words = {name[0] if len(name) > 1 else "" for name in names}
    return words.pop() or None if len(words) == 1 else None


def _is_whole(wrapper: tuple[str, ...], wrapped: Counter[tuple[str, ...]], sizes: Counter[tuple[str, ...]]) -> bool:
    return 0 < wrapped[wrapper] == sizes[wrapper[:-1]]
