"""Training samples: labelled videos, clips and sequences drawn from them, augmentation."""
