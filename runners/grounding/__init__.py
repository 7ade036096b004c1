"""Networks that judge tracklets by a sentence."""
