"""A program of another environment as an engine."""
