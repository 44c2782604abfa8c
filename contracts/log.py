"""How every part logs: one JSON object a line on standard error, colours where a person watches.

The one module here with an effect: the three parts that run by themselves share no other place.
Messages are static text, facts are attributes; whatever is personal stands under a key with a `pii`
segment.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

QUIET = (
    *("alembic", "asyncio", "httpcore", "httpx", "httpx2", "livekit", "openai", "sqlalchemy"),
    *("sse_starlette", "uvicorn", "websockets"),
)
"""Libraries of which only warnings are kept: the rest is request lines, tokens included."""


def configure_logging(level: str, output: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records from `level` on to one place.

    Args:
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR`, in any case.
        output: standard error unless given.
    """
    stream = sys.stderr if output is None else output
    watched = stream.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without the values of variables: requests and configs hold secrets.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if watched
        else [tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
