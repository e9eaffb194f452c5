"""Inference in token steps: scheduler, prefill, speculation and sampler."""
