"""One training task for each referring network."""
