"""Networks built without initial values that then take a file's tensors as they lie: a checkpoint is held once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class WithoutInitialValues(TorchFunctionMode):
    """Within it what layers leave empty for initial values is made on the device `meta`, and nothing is drawn for it.

    Buffers, and parameters that start as constants, are computed. Only for networks that get the values of a file, by
    `take_values`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a tensor without values on the device `meta`."""
        named = dict(kwargs or {})
        if func is torch.empty:
            named["device"] = "meta"
        return func(*args, **named)


def take_values(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network on the CPU the tensors of a state dict that fits it; those of its own type are not copied.

    Parameters that have no values yet, in the state neither, become 0.
    """
    names: dict[Tensor, list[str]] = defaultdict(list)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names[parameter].append(name)
    given = {name: _fit(state.get(name), target) for name, target in module.state_dict().items()}
    module.load_state_dict(given, assign=True)
    # A parameter of several names has got several tensors.
    for shared in names.values():
        kept = module.get_parameter(shared[-1])
        for name in shared[:-1]:
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, kept)


def _fit(value: Tensor | None, target: Tensor) -> Tensor:
    if value is None:
        return torch.zeros_like(target, device="cpu") if target.is_meta else target
    fitted = value.to(target.dtype if target.is_floating_point() else value.dtype).contiguous()
    # A file may place values at any byte.
    return fitted if fitted.data_ptr() % fitted.element_size() == 0 else fitted.clone()


def is_finite(values: Tensor) -> bool:
    """Tell whether all numbers are finite; a sum that is leaves no doubt, and needs no memory."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
