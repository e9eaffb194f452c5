"""GGUF files: found, read, checked, and made into what the engine loads."""
