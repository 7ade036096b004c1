"""Programs of other environments: why one cannot be started, and one that answers line by line."""
