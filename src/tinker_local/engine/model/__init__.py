"""The model and what stands beside or instead of its weights: adapters, merged and packed copies."""
