"""Reports of evaluations: one HTML page and the same in Markdown."""
