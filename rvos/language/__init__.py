"""What a sentence names."""
