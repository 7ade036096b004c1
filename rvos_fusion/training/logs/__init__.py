"""What a training tells: records, pictures, loggers."""
