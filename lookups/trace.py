"""Following a mail from the door to the frame, through rows and announcements, across processes.

OpenTelemetry's API alone: nothing is recorded, carried or stored until an operator installs its SDK and an exporter. Nothing
of it ever goes out to an endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.context import Context

tracer: Final = trace.get_tracer("disqua")
_FORMAT: Final = TraceContextTextMapPropagator()
_PARENT: Final = "traceparent"


def here() -> str | None:
    """The open span in one line (W3C Trace Context, 3.2); None while nothing is traced."""
    carrier: dict[str, str] = {}
    _FORMAT.inject(carrier)
    return carrier.get(_PARENT)


def continuing(parent: str | None) -> Context | None:
    """The context in which a span goes on where ``parent`` stands; None for the present one."""
    return None if parent is None else _FORMAT.extract({_PARENT: parent})
