"""Other libraries that do the same work, run in an environment of their own with pinned versions."""
