"""Training of a small SAM 3: its detector and its tracker on one trunk."""
