"""Files read with bounds and written atomically: JSON, images, video, tensors."""
