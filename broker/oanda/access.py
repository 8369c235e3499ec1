"""Who we are to OANDA and where it lives: token, account and hosts. Practice unless told twice.

The environment is read by the daemon; here are only its values, checked.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from broker.errors import BadInput

ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)  # {site}-{division}-{user}-{number}
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)  # no space and no line break: it stands in a header
SHORTEST = 6  # letters that are no part of other words; OANDA's tokens have 65
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Secret:
    """A text that shows itself to nobody but the transport.

    >>> Secret("abc"), str(Secret("abc"))
    (Secret(***), 'Secret(***)')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not for storing")

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def scrub(self, data: bytes) -> bytes:
        """`data` with every occurrence of the secret masked: a server may echo what it was sent.

        A text of a few letters, as somebody gives an emulator, is part of other words: masking it would garble them.
        """
        if len(self._text) < SHORTEST:
            return data
        return data.replace(self._text.encode(), b"***")


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs of the two services; `real` where orders move real money."""

    rest: str
    stream: str
    real: bool = False


PRACTICE = Hosts("https://api-fxpractice.oanda.com", "https://stream-fxpractice.oanda.com")
LIVE = Hosts("https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com", real=True)


def hosts_of(environment: str, *, allow_live: bool, rest: str = "", stream: str = "") -> Hosts:
    """The hosts of an environment.

    Args:
        environment: `practice` (also ""), `live`, or `custom` with `rest` and `stream`.
        allow_live: the second switch that `live` needs.

    Raises:
        BadInput: live with one switch only, an unknown name, or a custom URL that would send the token in the clear.

    >>> hosts_of("", allow_live=False).rest
    'https://api-fxpractice.oanda.com'
    """
    match environment:
        case "" | "practice":
            return PRACTICE
        case "live" if allow_live:
            return LIVE
        case "live":
            raise BadInput(
                "live money needs two switches, and only one is set",
                where="OANDA_ENVIRONMENT",
                mend="set [oanda] allow_live = true as well, or use practice",
            )
        case "custom":
            return Hosts(_base(rest, "OANDA_REST_URL"), _base(stream, "OANDA_STREAM_URL"))
    raise BadInput(f"no environment {environment!r}", where="OANDA_ENVIRONMENT", mend="practice, live or custom")


def _base(url: str, where: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput("is no URL", where=where, mend="as in http://127.0.0.1:8080")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput("may have neither user nor query", where=where)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise BadInput("would send the token in the clear", where=where, mend="use https, or a loopback address")
    if parts.hostname.endswith(".oanda.com"):
        raise BadInput("OANDA's own hosts are not custom", where=where, mend="OANDA_ENVIRONMENT=practice or live")
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Access:
    """What every request needs.

    Args:
        token: shown in the Authorization header and nowhere else.
        account: the one account this program may touch.
        allowed: accounts that may be used; empty means any, which real money refuses.

    Raises:
        BadInput: a token or account that could not stand in a request, or an account that is not allowed.
    """

    token: Secret
    account: str
    hosts: Hosts
    allowed: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token.reveal()):
            raise BadInput("the token is empty or holds characters no token has", where="OANDA_TOKEN")
        if not ACCOUNT.fullmatch(self.account):
            raise BadInput("is no account id", where="OANDA_ACCOUNT", mend="as in 101-001-1234567-001")
        if self.allowed and self.account not in self.allowed:
            raise BadInput("the account is not on the allow-list", where="OANDA_ACCOUNT", mend="see [oanda] accounts")
        if self.hosts.real and not self.allowed:
            raise BadInput("real money needs an allow-list of accounts", where="[oanda] accounts")
