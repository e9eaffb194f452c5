"""A Tinker-compatible server for one machine."""

__version__ = "0.2.0"
