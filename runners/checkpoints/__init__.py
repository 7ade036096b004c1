"""Checkpoints: read safely, every key accounted for."""
