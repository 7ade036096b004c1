"""Clips of users, and what leaves the store: overlays, exports, pseudo-labels."""
