"""How well a model classifies, with intervals, baselines and the ways in which it fails."""
