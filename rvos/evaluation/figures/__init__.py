"""Figures of tables: a new one is a value in a file here, and a line in the `figures` of an evaluator."""
