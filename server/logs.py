"""Logging: JSON in production, readable in development; ids, never an address or a secret."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from server.settings import LogLevel

_TALKATIVE: Final = (
    "aiohttp",
    "aiosqlite",
    "alembic",
    "asyncio",
    "httpx",
    "httpcore",
    "sqlalchemy",
    "strawberry",
    "taskiq",
    "uvicorn",
    "websockets",
)
"""Libraries that log URLs, addresses or statements with their values below a warning."""

_INDISCREET: Final = ("mail",)
"""Libraries whose warnings repeat what a stranger sent."""


def set_up_logs(level: LogLevel, *, production: bool) -> None:
    """Send every line of the process, ours and the libraries', through one formatter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if production
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for names, least in ((_TALKATIVE, logging.WARNING), (_INDISCREET, logging.ERROR)):
        for name in names:
            logging.getLogger(name).setLevel(max(least, root.level))
