"""The losses of each referring network."""
