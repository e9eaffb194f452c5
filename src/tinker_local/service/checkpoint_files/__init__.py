"""How a checkpoint lies on disk: its folder, and the adapter in it."""
