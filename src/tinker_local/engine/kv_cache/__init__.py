"""Keys and values in pages: their memory, the attention over them, and the prefixes that are kept."""
