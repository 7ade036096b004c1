"""Pickles looked at before they are run: what they ask for must be in proportion to their bytes."""

from __future__ import annotations

import pickle
import pickletools
from typing import BinaryIO

_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCHES = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
# Never written by torch.save: extensions, buffers from elsewhere, bytes allocated unread, copies of the last object.
_REFUSED = frozenset(
    {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "BYTEARRAY8", "DUP", "EMPTY_SET", "FROZENSET"}
)
_MOST_UNUSED = 1000
_DEEPEST = 20


class RefusedPickleError(pickle.UnpicklingError):
    """The pickle names something that is no tensor, container or number."""


def check_opcodes(stream: BinaryIO) -> None:
    """Walk one pickle and leave the stream behind it; nothing of it is built.

    The unpickler sizes its memory of objects by the largest index that a pickle names, so ten bytes could ask for
    gigabytes; and a tuple of tuples that share their parts would take years to be hashed as a key.

    Raises:
        RefusedPickleError: an opcode that torch files do not need.
        ValueError: cut, no pickle, an index far beyond the objects so far, or tuples nested too deeply.
    """
    n_stored = 0
    depths: dict[object, int] = {}
    depth, previous = 0, ""
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in _REFUSED:
            raise RefusedPickleError(f"the opcode {name}")
        if name in _STORES or name == "MEMOIZE":
            index = n_stored if name == "MEMOIZE" else argument
            n_stored += 1
            if not isinstance(index, int) or not 0 <= index < _MOST_UNUSED + 2 * n_stored:
                raise ValueError(f"it names object {index} of {n_stored}")
            if previous in _TUPLES:
                depths[index] = depth
                depth = 0
        elif name in _FETCHES:
            depth = max(depth, depths.get(argument, 0))
        elif name in _TUPLES:
            depth += 1
        if depth > _DEEPEST:
            raise ValueError("tuples are nested too deeply")
        previous = name
