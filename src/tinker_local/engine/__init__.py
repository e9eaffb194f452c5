"""Numbers: the model, its adapters, losses, the optimizer and sampling. It sees token ids only."""
