"""What a training tells: records, curves, pictures, loggers."""
