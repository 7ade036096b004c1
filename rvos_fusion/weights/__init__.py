"""Checkpoints: which network a file holds, where it comes from, its licence."""
