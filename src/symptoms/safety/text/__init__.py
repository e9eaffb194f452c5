"""A text as the screen reads it: folded, normalised, in words and in passages."""
