"""Parity cases: official inputs and outputs against our networks, through the ordinary loaders."""
