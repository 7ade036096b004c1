"""From plan to results: the run with its progress, log and checks."""
