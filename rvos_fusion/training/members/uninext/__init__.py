"""Training of a small UNINEXT."""
