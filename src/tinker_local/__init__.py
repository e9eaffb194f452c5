"""A Tinker-compatible server for one machine."""

__version__ = "0.1.0"
