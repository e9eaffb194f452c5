"""What the classifier knows of a run beside its weights: small files in its directory."""
