"""Secrets come in from the environment or from files that only their owner may read, and go nowhere else."""

from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.oanda import LIVE, PRACTICE
from daemon.config import Oanda
from daemon.oanda import access_of

ACCOUNT = "101-001-1234567-001"


def test_the_environment_says_who_we_are() -> None:
    """Practice where nothing else is said."""
    access = access_of({"OANDA_TOKEN": " abc \n", "OANDA_ACCOUNT": ACCOUNT}, Oanda())
    assert (access.token.reveal(), access.account, access.hosts) == ("abc", ACCOUNT, PRACTICE)


def test_a_file_may_hold_the_token_if_nobody_else_reads_it(tmp_path: Path) -> None:
    """A token that others may read is refused, with the command that mends it."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    environ = {"OANDA_TOKEN_FILE": str(file), "OANDA_ACCOUNT": ACCOUNT}
    file.chmod(0o640)
    with pytest.raises(BadInput, match="chmod 600"):
        access_of(environ, Oanda())
    file.chmod(0o600)
    assert access_of(environ, Oanda()).token.reveal() == "abc"
    with pytest.raises(BadInput, match="can't be read"):
        access_of(environ | {"OANDA_TOKEN_FILE": str(tmp_path / "none")}, Oanda())


@pytest.mark.parametrize("missing", ["OANDA_TOKEN", "OANDA_ACCOUNT"])
def test_what_is_missing_is_named(missing: str) -> None:
    """One line says which variable, and how to set it."""
    environ = {"OANDA_TOKEN": "abc", "OANDA_ACCOUNT": ACCOUNT}
    del environ[missing]
    with pytest.raises(BadInput, match=f"{missing}_FILE"):
        access_of(environ, Oanda())


def test_real_money_needs_both_switches_and_the_list() -> None:
    """OANDA_ENVIRONMENT=live alone does nothing but complain."""
    environ = {"OANDA_TOKEN": "abc", "OANDA_ACCOUNT": ACCOUNT, "OANDA_ENVIRONMENT": "live"}
    for settings in (Oanda(), Oanda(allow_live=True), Oanda(accounts=(ACCOUNT,))):
        with pytest.raises(BadInput):
            access_of(environ, settings)
    assert access_of(environ, Oanda(allow_live=True, accounts=(ACCOUNT,))).hosts == LIVE
