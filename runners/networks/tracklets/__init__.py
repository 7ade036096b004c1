"""The network that finds out which tracklet of a video a sentence means."""
