"""Where models come from: the model hub, the package index, and the stores of other programs."""
