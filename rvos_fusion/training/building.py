"""Networks of sizes that a user wrote: tried without memory first, so that impossible sizes are one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from rvos.errors import ConfigError, explain

Network = TypeVar("Network", bound=nn.Module)
_MOST_BYTES = 32 * 2**30


def build_network(make: Callable[[], Network], *, where: str) -> Network:
    """Return what `make` makes; ConfigError: sizes that do not fit together, or parameters of more than 32 GiB."""
    # Layers of the device "meta" have shapes and no memory; the random state is that of a network built once.
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                outline = make()
        except (RuntimeError, ValueError, TypeError, AssertionError, ArithmeticError, LookupError) as error:
            reason = explain(error)
            raise ConfigError(f"{where}: the sizes in `network` do not fit together ({reason}); correct them") from None
    size = sum(value.numel() * value.element_size() for value in outline.state_dict().values())
    if size > _MOST_BYTES:
        raise ConfigError(f"{where}: a network of these sizes takes {size / 2**30:.0f} GiB; correct `network`")
    return make()
