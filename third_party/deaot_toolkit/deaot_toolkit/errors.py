"""Errors of this package: each message is `where: what was found; what to do`."""

from __future__ import annotations


class ToolkitError(Exception):
    """Anything wrong that a caller can mend."""


class NetworkConfigError(ToolkitError, ValueError):
    """A network name or configuration that cannot be built."""


class CheckpointError(ToolkitError):
    """A checkpoint that cannot be read safely or does not fit the network."""


class EngineError(ToolkitError):
    """A call that does not fit the engine's state, or tensors of the wrong shape."""
