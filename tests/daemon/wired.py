"""A daemon and an emulator in one process, over real sockets, in lock-step through tick files."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from broker.account import Account, Market
from broker.bars import BarSize
from broker.emulator import Emulator, Exchange, Settings, load_history
from broker.emulator.indicative import indicative_rates
from broker.instruments import KNOWN, instrument
from broker.rates import Rates
from broker.ticks import ReadOptions
from daemon.config import Config, bar_length, load
from daemon.console import Ui
from daemon.running import Daemon
from daemon.terms import decimal, decimals, terms_of

ACCOUNT, TOKEN = "101-004-1000000-001", "a-token-for-tests"
MILLISECOND = 1_000_000


def config_of(path: Path, text: str, state: Path) -> Config:
    """The config of a text, written where commands find it too."""
    path.write_text(text)
    return load(path, {}, {"state.dir": ("--state", str(state)), "api.port": ("tests", 0)})


@asynccontextmanager
async def emulator(
    ticks: Sequence[Path], config: Config, speed: float = 0.0, past: int = 0
) -> AsyncIterator[tuple[Emulator, dict[str, str]]]:
    """An emulator of tick files, of which the first `past` quotes were before, and the environment of its clients."""
    history, recorded = load_history(ticks, ReadOptions())
    history.next = past
    known = {**{name: instrument(name) for name in KNOWN}, **recorded}
    terms, rates = terms_of(config), Rates({**indicative_rates(), **decimals(config.account.rates)})
    market = Market(known, config.account.currency, rates, terms.conversion_fee)
    exchange = Exchange(Account(ACCOUNT, market, terms.interest), history, known)
    exchange.start(decimal(config.account.balance), terms.margin_rate or None)
    kind, size = bar_length(config.bar)
    bar = BarSize(kind == "clock", size)
    made = Emulator(
        exchange, Settings(token=TOKEN, speed=speed, bar=bar, latency=config.paper.latency_ms * MILLISECOND)
    )
    where = await made.start()
    environ = {
        "OANDA_ENVIRONMENT": "custom",
        "OANDA_REST_URL": where["rest"],
        "OANDA_STREAM_URL": where["stream"],
        "OANDA_ACCOUNT": where["account"],
        "OANDA_TOKEN": TOKEN,
    }
    try:
        yield made, environ | ({} if speed else {"OANDA_CONTROL_URL": where["control"]})
    finally:
        await made.stop()


async def over(made: Emulator) -> None:
    """Wait until all quotes are on their way to the client."""
    while not made.exchange.history.is_over:  # noqa: ASYNC110 - the clock has no event
        await asyncio.sleep(0.02)
    await made.streams.drained()
    await asyncio.sleep(0.3)


async def to_the_end(ticks: Sequence[Path], config: Config) -> Daemon:
    """Run a daemon over the wire through all the quotes, and stop it."""
    async with emulator(ticks, config) as (made, environ):
        daemon = Daemon(config, environ, lambda: config, Ui(json=True))
        living = asyncio.create_task(daemon.run())
        waiting = asyncio.create_task(over(made))
        await asyncio.wait((living, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        daemon.stop()
        assert await living is False
        return daemon


def joined(state: Path, name: str) -> bytes:
    """A file of the days' folders, one after the other; of tables the rows alone."""
    parts = [folder / name for folder in sorted((state / "runs").iterdir())]
    if name.endswith(".csv"):
        return b"".join(b"".join(part.read_bytes().splitlines(keepends=True)[1:]) for part in parts)
    return b"".join(part.read_bytes() for part in parts)
