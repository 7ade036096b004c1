"""Pre-training of parts of the referring networks: backbones by words, the lower half by grounding."""
