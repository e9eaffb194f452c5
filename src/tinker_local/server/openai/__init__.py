"""OpenAI's API over the same engine, so that any client of it can ask a base model or a checkpoint."""

from tinker_local.server.openai.routes import openai_app

__all__ = ["openai_app"]
