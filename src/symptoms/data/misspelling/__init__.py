"""Which words a slip of the fingers may have turned into which."""
