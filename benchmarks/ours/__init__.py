"""The engine of this repository and its server, driven through the interfaces that stay."""
