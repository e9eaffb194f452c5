"""The same thing put through several tools, and how far their figures are apart."""
