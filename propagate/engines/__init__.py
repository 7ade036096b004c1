"""Propagation engines: the protocol, the table of their networks, and one file for each family."""
