"""Text encoders and their tokenisers."""
