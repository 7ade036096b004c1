"""One module a sub-command of `rvos`: `register` declares its options, `run` does the work."""
