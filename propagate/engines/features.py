"""Image features kept for sharing, within a stated number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol


class Features(Protocol):
    """What an encoder gives for one image; it depends on the image alone."""

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""


class FeatureCache:
    """The features used last, up to `limit` bytes; older ones are forgotten first.

    The driver goes forwards and then backwards over a video, so that what was used last is wanted first:
    a cache that holds the last n frames spares n encoder passes on the way back, however long the video is.
    Whatever the limit, one frame more than the cache holds may be in use.

    Args:
        limit: bytes; 0 keeps nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()
        self.n_bytes = 0
        self.n_made = 0
        self.n_shared = 0

    @classmethod
    def of_megabytes(cls, limit: int) -> FeatureCache:
        """Return a cache with its limit in MiB, as recipes state it."""
        return cls(limit << 20)

    def get(self, key: Hashable, make: Callable[[], Features]) -> Features:
        """Return the features of `key`, made if they are not kept."""
        if key in self._kept:
            self.n_shared += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        self.n_made += 1
        features = make()
        self._keep(key, features)
        return features

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.n_bytes = 0

    def _keep(self, key: Hashable, features: Features) -> None:
        if features.n_bytes > self._limit:
            return
        while self.n_bytes + features.n_bytes > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self.n_bytes -= oldest.n_bytes
        self._kept[key] = features
        self.n_bytes += features.n_bytes
