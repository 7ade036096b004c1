"""What the tracks of candidates say against a sentence."""
