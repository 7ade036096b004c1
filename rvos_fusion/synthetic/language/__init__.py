"""What is said of synthetic videos."""
