"""SAM 3: its tracker and its concept detector, driven frame by frame as the official code drives them."""
