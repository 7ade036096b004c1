"""UNINEXT, the referring path: one frame, one expression, one mask; frames are independent of each other."""
