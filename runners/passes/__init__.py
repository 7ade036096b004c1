"""How a video passes through a network: frames, windows, views."""
