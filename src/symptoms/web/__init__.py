"""`symptoms serve`: one page and an API, for one machine."""

from symptoms.web.serving import ServeOptions, serve

__all__ = ["ServeOptions", "serve"]
