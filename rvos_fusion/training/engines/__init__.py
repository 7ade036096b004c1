"""Training of AOT and DeAOT."""
