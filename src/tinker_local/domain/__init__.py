"""What the engine is asked for and gives back, in tokens and arrays; the protocol is translated to it."""
