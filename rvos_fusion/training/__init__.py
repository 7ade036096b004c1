"""Training of the referring networks and of the propagation networks."""
