"""The daemon's local HTTP API: documents, commands, events, metrics, and the page that shows them."""

from daemon.web.hub import Hub
from daemon.web.metrics import Metrics
from daemon.web.office import Health, Office, Order, Query
from daemon.web.server import Web
from daemon.web.token import api_token

__all__ = ["Health", "Hub", "Metrics", "Office", "Order", "Query", "Web", "api_token"]
