"""What stored masks are worth: tables, sweeps, fits, oracles."""
