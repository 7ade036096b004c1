"""One module a recorded network: builds it and runs the case."""
