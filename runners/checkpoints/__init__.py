"""Checkpoints: read safely, every key accounted for; written so that equal networks are equal files."""

from runners.checkpoints.saving import save_network

__all__ = ["save_network"]
