"""AOT and DeAOT: video object segmentation networks and their engine, in plain PyTorch."""
