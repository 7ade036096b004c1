"""What each kind of node computes for one video."""
