"""Where Tinker lives: the hosted service, any compatible server by URL, or our own on this machine."""

from symptoms.service.connection import (
    HOSTED,
    LOCAL,
    Service,
    choose_service,
    connect,
    key_source,
    local_base_model,
    offered_models,
)
from symptoms.service.local_server import LocalServer

__all__ = [
    "HOSTED",
    "LOCAL",
    "LocalServer",
    "Service",
    "choose_service",
    "connect",
    "key_source",
    "local_base_model",
    "offered_models",
]
