"""Pickles read without running anything of theirs: stand-ins of this module answer for each class that they name."""

from __future__ import annotations

import pickle
import pickletools
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What a damaged pickle may raise."""
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_FETCHES = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_DEEPEST = 20
# Extensions, buffers from elsewhere, copies of the last object, and sets of what may take long to hash.
_REFUSED = frozenset({"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "DUP", "EMPTY_SET", "FROZENSET"})
# One byte of a pickle can make a container of 64 bytes, so the number of bytes alone is no bound.
_MOST_OPCODES = 3_000_000
_NUMBER = re.compile(r"[<>|=]?(?:f[248]|[iu][1248]|b1|bool|float(?:16|32|64)|u?int(?:8|16|32|64))")


class RefusedError(pickle.UnpicklingError):
    """The pickle names something that is no tensor, container or number."""


class StandIn:
    """A function that a pickle may call and cannot change."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function gives."""
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a change would outlive the file."""
        raise RefusedError("a change of what stands for a class")


# Each class below has a `__setstate__`: without one, Python would let a pickle set attributes, also of the class.
class Record:
    """Stand-in for `argparse.Namespace`."""

    entries: Mapping[str, object] = MappingProxyType({})

    def __setstate__(self, state: object) -> None:
        """Take the entries."""
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise ValueError("arguments that are no names with values")
        self.entries = state


class Entries(dict[Any, Any]):
    """Stand-in for `collections.OrderedDict`; a state dict carries versions as an attribute, which is left out."""

    def __setstate__(self, state: object) -> None:
        """Leave attributes out."""


class NumberType:
    """Stand-in for `numpy.dtype`: plain numbers and truth values only."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not _NUMBER.fullmatch(name):
            raise RefusedError(f"a NumPy array of type {name!r:.40}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the order of bytes."""
        if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise RefusedError("a NumPy array of structures")
        self.dtype = self.dtype.newbyteorder(state[1])


class StoredArray:
    """Stand-in for `numpy.ndarray`: values that were copied out of the pickle's bytes."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take type, shape and bytes."""
        _, shape, kind, is_fortran, content = state
        self.values = _to_array(content, kind, shape, "F" if is_fortran else "C")


def _to_array(content: object, kind: object, shape: object, order: object) -> NDArray[Any]:
    if not isinstance(kind, NumberType) or not isinstance(content, str | bytes | bytearray):
        raise RefusedError("a NumPy array of objects")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array without shape")
    raw = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _rebuild_from_buffer(content: object, kind: object, shape: object, order: object) -> StoredArray:
    array = StoredArray()
    array.values = _to_array(content, kind, shape, order)
    return array


def _rebuild_scalar(kind: object, content: object) -> float | int | bool:
    values = _to_array(content, kind, (1,), "C")
    return values[0].item()


def _refuse_call(*_: object) -> None:
    raise RefusedError("an array that is built from elsewhere")


_ANY_AGE = {
    "multiarray": {
        "scalar": StandIn(_rebuild_scalar),
        "_reconstruct": StandIn(lambda *_: StoredArray()),
    },
    "numeric": {"_frombuffer": StandIn(_rebuild_from_buffer)},
}
# NumPy moved its functions; files of either age name them by one of two modules.
NUMPY_STAND_INS: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): NumberType,
    ("numpy", "ndarray"): StandIn(_refuse_call),
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, names in _ANY_AGE.items()
        for name, stand_in in names.items()
    },
}
PLAIN_STAND_INS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Entries,
    ("collections", "Counter"): Entries,
    ("collections", "defaultdict"): StandIn(lambda *_: {}),
    ("argparse", "Namespace"): Record,
    # How the older protocols write bytes and sets.
    ("_codecs", "encode"): StandIn(lambda text, *_: text.encode("latin1")),
    **{
        (module, name): kind
        for module in ("builtins", "__builtin__")
        for name, kind in (("dict", dict), ("list", list), ("set", StandIn(tuple)))
    },
}


class SafeUnpickler(pickle.Unpickler):
    """Rebuilds containers and numbers, and whatever else `stand_ins` answer for.

    Args:
        stand_ins: (module, name) -> what is called in place of the class.
        find: returns the storage that a persistent reference names; None: the file has none.
    """

    def __init__(
        self,
        stream: BinaryIO,
        stand_ins: Mapping[tuple[str, str], Any],
        find: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self._stand_ins = stand_ins
        self._find = find

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class."""
        if (module, name) not in self._stand_ins:
            raise RefusedError(f"{module}.{name}")
        return self._stand_ins[module, name]

    def persistent_load(self, identity: Any) -> object:
        """Return the storage that is referred to."""
        if self._find is None:
            raise RefusedError("a reference to something outside")
        return self._find(identity)


def read_pickle(
    stream: BinaryIO, stand_ins: Mapping[tuple[str, str], Any], find: Callable[[Any], object] | None = None
) -> Any:
    """Return the content of one pickle and leave the stream behind it.

    Raises:
        RefusedError: it names anything but what `stand_ins` answer for.
        Exception: one of `PICKLE_ERRORS` where it is damaged.
    """
    start = stream.tell()
    check_opcodes(stream)
    end = stream.tell()
    stream.seek(start)
    content = SafeUnpickler(stream, stand_ins, find).load()
    stream.seek(end)
    return content


def check_opcodes(stream: BinaryIO) -> None:
    """Walk one pickle and leave the stream behind it; nothing of it is built.

    The unpickler takes memory for the largest object number that a pickle names and for the lengths that it claims, so
    ten bytes could ask for gigabytes; and a tuple of tuples that share their parts would take years to be hashed.

    Raises:
        RefusedError: an opcode that the files read here do not need.
        ValueError: cut, no pickle, asking for more than it holds, or tuples nested too deeply.
    """
    depths: dict[object, int] = {}
    depth, previous = 0, ""
    for number, (opcode, argument, _) in enumerate(_read_opcodes(stream)):
        name = opcode.name
        if name in _REFUSED:
            raise RefusedError(f"the opcode {name}")
        if number > _MOST_OPCODES:
            raise ValueError(f"more than {_MOST_OPCODES} parts")
        if name in _STORES:
            place = len(depths) if name == "MEMOIZE" else argument
            # Picklers count their objects from 0, so a number is below that of the opcodes so far.
            if not isinstance(place, int) or not 0 <= place <= number:
                raise ValueError(f"it names object {place} where there are at most {number}")
            depths[place] = depth if previous in _TUPLES else 0
            depth = 0
        elif name in _FETCHES:
            depth = max(depth, depths.get(argument, 0))
        elif name in _TUPLES:
            depth += 1
        if depth > _DEEPEST:
            raise ValueError("tuples are nested too deeply")
        previous = name


def _read_opcodes(stream: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(stream)
    except MemoryError:
        raise ValueError("it claims a text longer than the file") from None
