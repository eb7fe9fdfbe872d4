"""The HTTP host of objectkernel: the routes of its plugins as one ASGI application."""

from objectkernel_http.application import asgi_app, include_kernel, kernel_lifespan
from objectkernel_http.limits import HttpLimits
from objectkernel_http.services import request_scope, service

__all__ = ["HttpLimits", "asgi_app", "include_kernel", "kernel_lifespan", "request_scope", "service"]
