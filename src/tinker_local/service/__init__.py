"""Sessions, training runs, samplers, futures and checkpoints: what the protocol names, over the engine."""
