"""Losses that clients traced, computed from a list of allowed operations."""
