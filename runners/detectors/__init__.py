"""Detectors: frames and a noun in, boxes or instance masks with confidences out."""
