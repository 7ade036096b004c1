"""Groups of expressions, votes over their masks, and sweeps of thresholds and members."""
