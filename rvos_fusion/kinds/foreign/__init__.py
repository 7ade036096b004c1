"""Masks that were made elsewhere."""
