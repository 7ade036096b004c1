"""Names of parameters without what compiled, averaged and parallel models put before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

# `torch.compile`; DataParallel, DistributedDataParallel and AveragedModel.
_WRAPPERS = frozenset({"_orig_mod", "module"})
# AveragedModel keeps its number of updates beside the model that it wraps.
_COUNTER = "n_averaged"


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
    return {
        name: ".".join(
            word
            for place, word in enumerate(words)
            if not (word in _WRAPPERS and place < len(words) - 1 and _is_whole(words[: place + 1], wrapped, sizes))
        )
        for name, words in split.items()
        if not (words[-1] == _COUNTER and _is_whole((*words[:-1], "module"), wrapped, sizes))
    }


def _is_whole(wrapper: tuple[str, ...], wrapped: Counter[tuple[str, ...]], sizes: Counter[tuple[str, ...]]) -> bool:
    return 0 < wrapped[wrapper] == sizes[wrapper[:-1]]
