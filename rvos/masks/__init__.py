"""Masks: runs, images, sequences, boxes, tracklets, and how they are stored."""
