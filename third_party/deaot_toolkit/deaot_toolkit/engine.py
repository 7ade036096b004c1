"""The engine: reference masks in, masks of the following frames out, with a memory of its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from deaot_toolkit.errors import EngineError
from deaot_toolkit.features import FrameFeatures, Looked
from deaot_toolkit.network import VosNetwork
from deaot_toolkit.transformer.memory import FrameEntry, LayerMemory, pick_frames, stack_frames

VOID = 255
# Finite, as resizing would turn infinities into NaN; the smaller one is within the range of halves.
_SUPPRESSED = -1e10
_SUPPRESSED_HALF = -1e4


@dataclass(frozen=True, slots=True)
class _Current:
    """The frame at hand, label unknown; no tokens of a reference, seldom decoded, which has an id embedding."""

    features: FrameFeatures
    tokens: Tensor | None
    seen: list[Looked]
    identity: Tensor | None = None


class Engine:
    """Propagates the masks of B independent expressions over the same frames.

    Rows of the batch never meet: each has its own labels, memory values and softmax. Tensors in the state are
    never changed in place, so a copy costs nothing.

    Args:
        network: shared freely between engines.
        active_objects: identities that compete at least; a reference with more objects raises the number;
            None: all identities compete. The others' logits are suppressed.
        long_term_gap: frames between writes to the long-term memory; None: as the network's configuration says.
        max_memory_frames: cap on the long-term memory: references stay, the oldest others go; None: no cap.
        legacy_counter: a reference sets the last long-term write to frame 0 instead of the current frame.

    Attributes:
        long_term: long-term memory of each layer, newest frame first; empty before the first reference.
        short_term: memory of the previous frame, of each layer; empty before the first reference.
    """

    def __init__(
        self,
        network: VosNetwork,
        *,
        active_objects: int | None = 1,
        long_term_gap: int | None = None,
        max_memory_frames: int | None = None,
        legacy_counter: bool = False,
    ) -> None:
        default_gap = network.config.training_gap if network.training else network.config.long_term_gap
        self.network = network
        self.long_term_gap = default_gap if long_term_gap is None else long_term_gap
        self.max_memory_frames = max_memory_frames
        self.legacy_counter = legacy_counter
        self._initial_objects = network.config.max_objects if active_objects is None else active_objects
        self._check_objects(self._initial_objects)
        for name, value in (("long_term_gap", self.long_term_gap), ("max_memory_frames", max_memory_frames)):
            if value is not None and value < 1:
                raise EngineError(f"{name}: {value}; give at least 1")
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.active_objects = self._initial_objects
        self._counter = 0
        self._last_write = 0
        self._frames_are_references: tuple[bool, ...] = ()  # newest first, as in `long_term`
        self.long_term: FrameEntry = ()
        self.short_term: FrameEntry = ()
        self._current: _Current | None = None

    def copy(self) -> Engine:
        """Return an engine in the same state that goes its own way; tensors are shared until replaced."""
        return copy.copy(self)

    @property
    def n_memory_frames(self) -> int:
        """Frames in the long-term memory."""
        return len(self._frames_are_references)

    @property
    def n_bytes(self) -> int:
        """Size of the long- and short-term memories."""
        return sum(entry.n_bytes for entry in (*self.long_term, *self.short_term))

    def reference(self, features: FrameFeatures, labels: Tensor, n_objects: int | None = None) -> None:
        """Remember a frame whose labels are given; further references are added to the long-term memory.

        Args:
            features: of the frame, encoded once for all rows (or one frame for each row).
            labels: integers (B, h, w) at network input size, 0 = background; or shares (B, 1 + identities, h, w).
            n_objects: identities in use; None: the largest label.

        Raises:
            EngineError: shapes that do not fit, no object, or more objects than identities.
        """
        self._check_features(features)
        self._check_labels(features, labels)
        objects = _largest_identity(labels) if n_objects is None else n_objects
        self._check_objects(objects)
        if n_objects is not None and not labels.is_floating_point():
            largest = _largest_identity(labels)
            if largest > n_objects:
                raise EngineError(f"labels: identity {largest}, but n_objects is {n_objects}; give the right number")
        # Never fewer: an object that a later reference does not show may still be seen.
        self.active_objects = max(self.active_objects, objects)
        identity = self.network.identify(labels)
        # The frame reads its own labels before it is remembered: keys of the deeper layers already know them.
        # In training it is decoded as well; otherwise what the decoder reads is made when it is asked for.
        tokens, seen = self.network.read(features, memory=None, identity=identity, finish=self.network.training)
        self._current = _Current(features, tokens, seen, identity)
        self.short_term = self.network.remember(seen, identity)
        self._write(self.short_term, is_reference=True)
        # The counter does not move: a reference is no step in time. The 2023 release sets 0 here.
        self._last_write = 0 if self.legacy_counter else self._counter

    def propagate(self, features: FrameFeatures) -> Tensor:
        """Return logits (B, 1 + identities, h/4, w/4) of the next frame. Raises EngineError: no reference, misfit."""
        if not self.short_term:
            raise EngineError("propagate: the engine has no reference; call reference first")
        self._check_features(features)
        # One (long, short) pair a layer.
        memory = [LayerMemory(long, short) for long, short in zip(self.long_term, self.short_term, strict=True)]
        tokens, seen = self.network.read(features, memory=memory, identity=None)
        # After the first reference at 0, a gap of 5 writes frames 5, 10, 15; frame 6 is the first that reads two
        # frames.
        self._counter += 1
        self._current = _Current(features, tokens, seen)
        return self.decode()

    def decode(self) -> Tensor:
        """Return logits (B, 1 + identities, h/4, w/4) of the frame at hand, be it propagated or a reference."""
        if self._current is None:
            raise EngineError("decode: the engine has no frame; call reference first")
        features, tokens = self._current.features, self._current.tokens
        if tokens is None:
            tokens, _ = self.network.read(features, memory=None, identity=self._current.identity)
            assert tokens is not None
        logits = self.network.decode(features, tokens)
        if self.active_objects == self.network.config.max_objects:
            return logits
        value = _SUPPRESSED_HALF if logits.dtype == torch.float16 else _SUPPRESSED
        # Before any upsampling, so that an identity nobody uses wins no pixel in between.
        used = logits[:, : self.active_objects + 1]
        unused = torch.full_like(logits[:, self.active_objects + 1 :], value)
        return torch.cat([used, unused], dim=1)

    def remember(self, labels: Tensor) -> None:
        """Decide the labels of the frame at hand: they become its short-term and, on schedule, long-term memory.

        Args:
            labels: integers (B, h, w) at network input size, or shares (B, 1 + identities, h, w); a label above
                the identities (255) counts as no identity, not even background.

        Raises:
            EngineError: no frame, or labels of another size.
        """
        if self._current is None:
            raise EngineError("remember: the engine has no frame; call reference or propagate first")
        self._check_labels(self._current.features, labels)
        # Keys are those of the propagation, made before the label was known; the values alone depend on it.
        entry = self.network.remember(self._current.seen, self.network.identify(labels))
        self.short_term = entry
        # Counted from the last write or reference, not in fixed frames.
        if self._counter - self._last_write >= self.long_term_gap:
            self._write(entry, is_reference=False)
            self._last_write = self._counter

    def _write(self, entry: FrameEntry, *, is_reference: bool) -> None:
        """Put a frame in front of the long-term memory and drop what the cap leaves no room for."""
        kinds = [is_reference, *self._frames_are_references]
        kept = list(range(len(kinds)))
        while self.max_memory_frames is not None and len(kept) > self.max_memory_frames:
            droppable = [index for index in kept if not kinds[index]]
            if not droppable:
                break
            # The oldest that is no reference: references are the only frames whose labels are sure.
            kept.remove(droppable[-1])
        # The old stack begins one place later than the new numbering.
        old = pick_frames(self.long_term, [index - 1 for index in kept if index], frames=len(kinds) - 1)
        # New frames in front, as officially: only the order of float sums depends on it.
        self.long_term = stack_frames([entry, *old] if 0 in kept else old)
        self._frames_are_references = tuple(kinds[index] for index in kept)

    def _check_objects(self, objects: int) -> None:
        largest = self.network.config.max_objects
        if objects < 1:
            raise EngineError(f"{objects} objects; a reference needs at least one")
        if objects > largest:
            raise EngineError(
                f"{objects} objects, {self.network.config.name} has {largest} identities; use EngineGroup"
            )

    def _check_features(self, features: FrameFeatures) -> None:
        if not self.short_term:
            return
        if self._current is not None and self._current.features.size != features.size:
            height, width = features.size
            raise EngineError(f"frame of {height}x{width}: the memory is of another size; reset first")
        rows = self.short_term[0].values[-1].shape[0]
        if features.n_frames not in (1, rows):
            raise EngineError(f"frames in the features: {features.n_frames}; give 1 or, as in the memory, {rows}")

    def _check_labels(self, features: FrameFeatures, labels: Tensor) -> None:
        shape = "(B, 1 + identities, h, w)" if labels.is_floating_point() else "(B, h, w)"
        fits = labels.ndim == (4 if labels.is_floating_point() else 3) and tuple(labels.shape[-2:]) == features.size
        if not fits:
            raise EngineError(
                f"labels: shape {tuple(labels.shape)} for a frame of {features.size[0]}x{features.size[1]}; "
                f"give {shape} at that size"
            )
        rows = labels.shape[0]
        if features.n_frames not in (1, rows):
            raise EngineError(f"rows of labels: {rows}, frames in the features: {features.n_frames}; give as many")
        if self.short_term and self.short_term[0].values[-1].shape[0] != rows:
            expected = self.short_term[0].values[-1].shape[0]
            raise EngineError(f"labels: {rows} rows, the memory has {expected}; give as many or reset")


def _largest_identity(labels: Tensor) -> int:
    """Return the largest identity in labels (B, h, w), at least 1; 255 is none. Shares have all identities."""
    if labels.is_floating_point():
        return int(labels.shape[1]) - 1
    # 255 marks pixels that are nothing known, not an identity.
    return max(1, int(torch.where(labels == VOID, 0, labels).max()))
