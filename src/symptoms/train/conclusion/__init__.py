"""How a training ends: its summary, its figure, its report."""
