"""What kinds need to know of the networks that they load: engines, detectors, grounding."""
