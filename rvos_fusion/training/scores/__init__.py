"""Scores of networks in training on labelled videos."""
