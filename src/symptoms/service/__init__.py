"""Where Tinker lives: the hosted service, any compatible server by URL, or our own on this machine."""

from symptoms.service.connection import Service, connect
from symptoms.service.local_server import LocalServer

__all__ = ["LocalServer", "Service", "connect"]
