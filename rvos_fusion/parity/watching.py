"""What the modules of a network return, for the stages of a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn


@contextmanager
def watch(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Any]]:
    """Yield what modules return in the passes that are made inside, the last of each, by their names."""
    found: dict[str, Any] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        found[name] = output

    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
