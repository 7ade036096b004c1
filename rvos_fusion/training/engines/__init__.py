"""Training of the networks that propagate."""
