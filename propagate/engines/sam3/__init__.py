"""SAM 3's tracker behind the engine contract."""
