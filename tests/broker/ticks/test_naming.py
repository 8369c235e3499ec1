"""What names say."""

from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.instruments import KNOWN
from broker.ticks.naming import bi5_name, lean_day, lean_pair, lean_zone, pair_in, settle_instrument
from broker.ticks.options import ReadOptions
from broker.types import DAY, HOUR

NOON = 15677 * DAY + 12 * HOUR  # 2012-12-03T12:00Z
NOTHING = ReadOptions()


@pytest.mark.parametrize("name", KNOWN)
def test_every_instrument_is_found_in_any_spelling(name: str) -> None:
    """Vendors write EUR_USD, EUR/USD, EURUSD and eurusd."""
    joined = name.replace("_", "")
    for text in (f"{name}-2014.csv", name.replace("_", "/"), f"DAT_ASCII_{joined}_T_2020.csv", f"x-{joined.lower()}-1"):
        assert pair_in(text) == name


@pytest.mark.parametrize(
    "text", ["ticks.csv", "EUR_USD-and-GBP_USD.csv", "all-top", "quotes_for_all.csv", "EUREUR", ""]
)
def test_no_instrument_is_guessed(text: str) -> None:
    """Several or none named: nobody says."""
    assert pair_in(text) is None


def test_a_bi5_is_dated_by_its_path_with_months_from_0() -> None:
    """`2012/11/03` is the third of December; the renamed original says the same."""
    for name in ("x/GBPJPY/2012/11/03/12h_ticks.bi5", "dukascopy-GBPJPY-2012-11-03-12h_ticks.bi5"):
        assert bi5_name(Path(name), NOTHING) == ("GBP_JPY", NOON)
    assert bi5_name(Path("GBPJPY-12h_ticks.bi5"), ReadOptions(date="2012-12-03")) == ("GBP_JPY", NOON)
    assert bi5_name(Path("x.bi5"), ReadOptions(date="2012-12-03T12")) == (None, NOON)
    for name in ("x.bi5", "GBPJPY/2012/12/03/12h_ticks.bi5", "GBPJPY/2012/10/31/12h_ticks.bi5"):
        with pytest.raises(BadInput, match="--date"):
            bi5_name(Path(name), NOTHING)


def test_a_lean_file_is_placed_by_vendor_and_day() -> None:
    """FXCM's clock is UTC-5 all year, Oanda's is UTC; another vendor has to be told."""
    fxcm, oanda = (
        Path("/d/forex/fxcm/tick/eurusd/20140506_quote.zip"),
        Path("lean-forex-oanda-tick-eurusd-20140506_quote.zip"),
    )
    assert (lean_zone(fxcm, NOTHING).offset, lean_zone(oanda, NOTHING).offset) == (-5 * HOUR, 0)
    assert lean_zone(fxcm, ReadOptions(tz="UTC")).offset == 0
    assert lean_pair(fxcm, "quotes.csv") == lean_pair(oanda, "20140506_eurusd_tick_quote.csv") == "EUR_USD"
    assert lean_day(fxcm, "", NOTHING) == lean_day(Path("x.zip"), "", ReadOptions(date="2014-05-06")) == 16196 * DAY
    with pytest.raises(BadInput, match="--tz"):
        lean_zone(Path("/d/20140506_quote.zip"), NOTHING)
    with pytest.raises(BadInput, match="--date"):
        lean_day(Path("/d/forex/fxcm/tick/eurusd/quote.zip"), "", NOTHING)


def test_a_file_of_another_instrument_is_refused() -> None:
    """What a file says and what was asked for have to agree; where it says nothing, the option decides."""
    path = Path("f.csv")
    assert settle_instrument(path, "EUR_USD", NOTHING).name == "EUR_USD"
    assert settle_instrument(path, None, ReadOptions(instrument="USD_JPY")).name == "USD_JPY"
    with pytest.raises(BadInput, match="holds EUR_USD, not USD_JPY"):
        settle_instrument(path, "EUR_USD", ReadOptions(instrument="USD_JPY"))
    with pytest.raises(BadInput, match="--instrument"):
        settle_instrument(path, None, NOTHING)
