"""SAM 2 behind the engine contract."""
