"""Training of the grounding network on tracklets that are made from the truth."""
