"""A second device on a machine without one: tensors on the CPU that carry the label `cuda:0`.

Under `LabelledDevice` what is made on or moved to `cuda` is labelled. An operation on labelled and other tensors
together, and NumPy's view of a labelled one, would fail on a real device: each is noted with its place in `problems`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("cuda:0")
_STAYS = frozenset({"T", "mT", "H", "mH", "real", "imag", "data", "grad"})
"""Attributes that are tensors on the same device."""
_MAY_MIX = frozenset(
    {
        *("__getitem__", "__setitem__", "index_put_", "copy_", "to", "type_as", "__get__", "__set__", "_make_subclass"),
        *("is_set_to", "as_subclass", "set_", "_has_compatible_shallow_copy_type"),
    }
)
_OF_ITSELF = frozenset({"requires_grad_", "__set__", "register_hook", "retain_grad"})
"""What changes the tensor that it is asked of, not its values."""
_TO_NUMPY = frozenset({"numpy", "__array__"})


class Labelled(Tensor):
    """A tensor of the second device."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Hand on to the mode, which notes problems."""
        return LabelledDevice.current().apply(func, args, dict(kwargs or {}))


class LabelledDevice(TorchFunctionMode):
    """What is made on or moved to `cuda` within it is labelled.

    Args:
        problems: kind and place of what would fail on a real device.
    """

    _entered: ClassVar[list[LabelledDevice]] = []

    def __init__(self) -> None:
        super().__init__()
        self.problems: set[str] = set()

    @classmethod
    def current(cls) -> LabelledDevice:
        """Return the innermost one."""
        return cls._entered[-1]

    def __enter__(self) -> LabelledDevice:
        self._entered.append(self)
        super().__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        super().__exit__(*reason)
        self._entered.pop()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Hand on what has nothing to do with the second device."""
        named = dict(kwargs or {})
        moves = (_name(func) in {"to", "cuda"} and any(map(_is_second, args[1:]))) or _name(func) == "cuda"
        if moves or _is_second(named.get("device")) or any(isinstance(one, Labelled) for one in _list((args, named))):
            return self.apply(func, args, named)
        return func(*args, **named)

    def apply(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Apply a function to plain tensors, note what is wrong, and label what comes out."""
        name = _name(func)
        with torch._C.DisableTorchFunction():
            self._check(name, args, kwargs)
            if name == "__get__" and isinstance(args[0], Labelled):
                return _read_attribute(func, args)
            if name in ("cpu", "cuda"):
                return _plain(args[0]) if name == "cpu" else _label(args[0])
            if name == "to":
                return _move(args, kwargs)
            if name == "copy_" or (name in _OF_ITSELF and isinstance(args[0], Labelled)):
                return func(*args, **kwargs)
            made_there = _is_second(kwargs.get("device"))
            if made_there:
                kwargs["device"] = "cpu"
            is_there = any(isinstance(one, Labelled) for one in _list((args, kwargs)))
            stays = made_there or (is_there and "device" not in kwargs)
            found = func(*_map(args, _plain), **_map(kwargs, _plain))
            if name.endswith("_") and not name.endswith("__") and args and isinstance(args[0], Labelled):
                return args[0]
            return _map(found, _label) if stays and name not in _TO_NUMPY else found

    def _check(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        every = list(_list((args, kwargs)))
        second = [one for one in every if isinstance(one, Labelled)]
        others = [one for one in every if not isinstance(one, Labelled) and one.dim() > 0]
        if second and name in _TO_NUMPY:
            self._note(f"{name}() of a tensor of the device")
        if second and others and name not in _MAY_MIX:
            self._note(f"{name} mixes devices")
        if name in ("__getitem__", "__setitem__"):
            there = isinstance(args[0], Labelled)
            if not there and any(isinstance(one, Labelled) for one in _list(args[1])):
                self._note(f"{name}: the index is on the device, the tensor is not")
            if (
                len(args) > 2
                and isinstance(args[2], Tensor)
                and args[2].dim()
                and isinstance(args[2], Labelled) != there
            ):
                self._note(f"{name}: the value is on another device")

    def _note(self, kind: str) -> None:
        own = [f for f in traceback.extract_stack() if "torch/" not in f.filename and f.filename != __file__]
        place = own[-1]
        self.problems.add(f"{kind}: {Path(place.filename).name}, line {place.lineno}: {place.line}")


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", "")


def _is_second(device: object) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == "cuda"


def _label(value: Any) -> Any:
    return value.as_subclass(Labelled) if isinstance(value, Tensor) else value


def _plain(value: Any) -> Any:
    return value.as_subclass(Tensor) if isinstance(value, Labelled) else value


def _list(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested values."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _list(inner)


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return nested values with their tensors changed."""
    if isinstance(value, dict):
        return {key: _map(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = [_map(one, change) for one in value]
        return type(value)(*inner) if hasattr(value, "_fields") else type(value)(inner)
    return change(value) if isinstance(value, Tensor) else value


def _read_attribute(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    attribute = getattr(getattr(func, "__self__", None), "__name__", "")
    if attribute in ("device", "is_cuda", "is_cpu"):
        return {"device": DEVICE, "is_cuda": True, "is_cpu": False}[attribute]
    found = func(*args)
    return _label(found) if attribute in _STAYS else found


def _move(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Return `tensor.to(...)`: to the type that is asked for, labelled where it ends on the device."""
    tensor, target, kept = args[0], kwargs.get("device"), []
    for value in args[1:]:
        if isinstance(value, Tensor):
            target = DEVICE if isinstance(value, Labelled) else torch.device("cpu")
            kept.append(value.dtype)
        elif isinstance(value, str | torch.device):
            target = value
        elif isinstance(value, torch.dtype):
            kept.append(value)
    named = {key: value for key, value in kwargs.items() if key != "device"}
    moved = _plain(tensor).to(*kept, **named) if kept or named else _plain(tensor)
    stays = isinstance(tensor, Labelled) if target is None else _is_second(target)
    return _label(moved) if stays else moved
