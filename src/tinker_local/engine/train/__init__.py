"""Training: forward and backward pass over datums, losses, and the optimizer."""
