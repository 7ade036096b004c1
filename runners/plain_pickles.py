"""Model-zoo files that were written with Python's own pickle: arrays and containers are read, anything else refused."""

from __future__ import annotations

import codecs
import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from rvos.errors import CheckpointError

# The first bytes of a torch file: a zip archive, or the pickled magic number of the older format.
_TORCH_STARTS = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # How the older pickle protocols write bytes.
    ("_codecs", "encode"): codecs.encode,
    **{(f"numpy.{core}.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0] for core in ("core", "_core")},
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (
            ("scalar", np.float64(0).__reduce__()[0]),
            ("_reconstruct", np.empty(0).__reduce__()[0]),
        )
    },
}


class _ArraysOnly(pickle.Unpickler):
    """Finds nothing but array constructors, so no code of the file's choice can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _ALLOWED[module, name]


def is_plain_pickle(path: Path) -> bool:
    """Return whether a `.pkl` file was not written by torch."""
    with path.open("rb") as stream:
        start = stream.read(max(len(known) for known in _TORCH_STARTS))
    return path.suffix == ".pkl" and not start.startswith(_TORCH_STARTS)


def read_plain_pickle(path: Path) -> Any:
    """Return what the file holds: containers, text, numbers, numpy arrays.

    Raises:
        CheckpointError: the file is damaged, or holds anything else.
    """
    try:
        with path.open("rb") as stream:
            return _ArraysOnly(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, it holds {error} beside arrays; save its state dict with torch.save or safetensors"
        ) from None
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise CheckpointError(f"{path}: not a readable pickle ({error}); copy it again") from None
