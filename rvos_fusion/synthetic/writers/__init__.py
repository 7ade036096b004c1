"""Synthetic videos as files, one module a data set whose shape they have."""
