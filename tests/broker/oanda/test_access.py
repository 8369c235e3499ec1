"""Practice unless told twice; the token shows itself nowhere; accounts have to be allowed."""

import copy
import pickle

import pytest

from broker.errors import BadInput
from broker.oanda import LIVE, PRACTICE, Access, Hosts, Secret, hosts_of


def test_live_needs_two_switches_and_an_allow_list() -> None:
    """R1: one switch alone is refused, and so is real money without a list of accounts."""
    assert hosts_of("", allow_live=True) == hosts_of("practice", allow_live=False) == PRACTICE
    with pytest.raises(BadInput, match="two switches"):
        hosts_of("live", allow_live=False)
    assert hosts_of("live", allow_live=True) == LIVE
    with pytest.raises(BadInput, match="allow-list"):
        Access(Secret("t"), "001-001-1-001", LIVE)
    with pytest.raises(BadInput, match="not on the allow-list"):
        Access(Secret("t"), "001-001-1-001", LIVE, frozenset({"001-001-1-002"}))
    assert Access(Secret("t"), "001-001-1-001", LIVE, frozenset({"001-001-1-001"})).hosts.real


@pytest.mark.parametrize(
    "url",
    ["", "ftp://127.0.0.1", "http://example.org", "http://user:pw@127.0.0.1", "https://x.test/?a", "127.0.0.1:80",
     "https://api-fxtrade.oanda.com"],
)  # fmt: skip
def test_custom_hosts_may_not_leak_the_token_or_hide_real_money(url: str) -> None:
    """A plain-text host is loopback; OANDA's own hosts are reached by their names only."""
    with pytest.raises(BadInput):
        hosts_of("custom", allow_live=True, rest=url, stream="http://127.0.0.1:1")
    with pytest.raises(BadInput):
        hosts_of("custom", allow_live=True, rest="http://127.0.0.1:1", stream=url)


def test_custom_hosts_are_taken_as_they_are() -> None:
    """The emulator's URLs."""
    found = hosts_of("custom", allow_live=False, rest="http://127.0.0.1:8080/", stream="https://x.test/s")
    assert found == Hosts("http://127.0.0.1:8080", "https://x.test/s")
    with pytest.raises(BadInput, match="no environment"):
        hosts_of("paper", allow_live=False)


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "a\r\nHost: x", "ä", "x" * 600])
def test_tokens_cannot_inject_headers(token: str) -> None:
    """A line break in a token would end the header it stands in."""
    with pytest.raises(BadInput):
        Access(Secret(token), "101-001-1-001", PRACTICE)


@pytest.mark.parametrize("account", ["", "101/../102", "1 2", "x" * 41, "101-001\n"])
def test_accounts_look_like_accounts(account: str) -> None:
    """An account stands in every path."""
    with pytest.raises(BadInput):
        Access(Secret("t"), account, PRACTICE)


def test_a_secret_is_not_shown_stored_or_echoed() -> None:
    """Neither text, format, repr, pickle nor copy shows it; an echo of it is masked."""
    secret = Secret("abc123")
    access = Access(secret, "101-001-1-001", PRACTICE)
    shown = f"{secret} {secret!r} {access} {access!r} {[secret]} {secret.__dir__()}"
    assert "abc123" not in shown
    assert secret.scrub(b"Bearer abc123!") == b"Bearer ***!"
    assert Secret("t").scrub(b'"lastTransactionID"') == b'"lastTransactionID"', "no token, and part of every word"
    for store in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            store(secret)
