"""Frames and expressions in, mask sequences out: one adapter a network."""
