"""Key frames, and the propagation of their masks through a video by a segmentation network."""
