"""Attention and transformers that several networks share."""
