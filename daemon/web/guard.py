"""Who may come in: the token, compared in constant time; Host and Origin, against pages of other sites."""

import hmac
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from broker.errors import BadInput, Refused, TraderError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPEN = frozenset({"/health/live", "/"})
STATIC = "/static/"
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """The middleware in front of every route.

    Args:
        token: that every request but those of OPEN and of static files must carry.
        port: that we listen on. hosts: names, with or without a port, by which we may be called besides loopback.
    """

    def __init__(self, token: str, port: Callable[[], int], hosts: frozenset[str]) -> None:
        self._token, self._port, self._hosts = token.encode(), port, hosts

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, or say why not; every answer carries the headers."""
        try:
            response = self._refusal(request) or await handler(request)
        except web.HTTPException as error:
            response = failure(error.status, error.reason.lower())
            response.headers.update({name: value for name, value in error.headers.items() if name == "Allow"})
        except BadInput as error:
            response = failure(400, error.what, error.where, error.mend)
        except Refused as error:
            response = failure(409, str(error))
        except TraderError as error:
            response = failure(500, str(error))
        except (ConnectionResetError, TimeoutError):
            raise
        except Exception:  # noqa: BLE001 - the outermost frame: a bug is logged, and the daemon trades on
            structlog.get_logger().exception("api_bug", method=request.method, path=request.path)
            response = failure(500, "a bug in micro-trader: see the log")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why the request is not let in; None where it is."""
        if not self._known(request.headers.get("Host", "")):
            return failure(421, "not called by a name of this daemon", "Host", "add it to [api] hosts")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers["Host"]:
            return failure(403, "a page of another site may not ask", "Origin")
        if request.path in OPEN or request.path.startswith(STATIC):
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        refused = failure(401, "the token is missing or wrong", "Authorization", "Bearer, and what api.token holds")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused

    def _known(self, host: str) -> bool:
        port = self._port()
        ours = {f"{name}:{port}" for name in _LOOPBACK} | self._hosts
        return host.lower() in ours or host.lower().rpartition(":")[0] in self._hosts


def failure(status: int, what: str, where: str = "", mend: str = "") -> web.Response:
    """An answer that says what is wrong."""
    return web.json_response({"error": {"what": what, "where": where, "mend": mend}}, status=status)
