"""This repository's engine and server, driven through the interfaces that stay."""
