"""The referring networks and the parts that they share; one network or part a file."""
