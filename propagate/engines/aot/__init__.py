"""AOT and DeAOT behind the engine contract."""
