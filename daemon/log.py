"""The log: one line an event on stderr, for people or as JSON. Only the daemon logs; libraries return values."""

import logging
import sys

import structlog

from daemon.config import Log


def start_log(settings: Log) -> None:
    """Send structlog's events to stderr as `settings` says. stdout stays with the command's result."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    last: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(allow_nan=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged"),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
