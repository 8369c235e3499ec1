"""Rough exchange rates for what no tick file covers.

Conversions and margins need a rate for every currency; where neither a streamed pair nor a fixed rate of the config
connects it with the account's, these stand in. Instruments without ticks show them as a price that can't be traded.
"""

from decimal import Decimal

from broker.types import Instrument

USD_OF = {
    currency: Decimal(value)
    for currency, value in (
        pair.split("=")
        for pair in (
            "USD=1 AUD=0.7 CAD=0.75 CHF=1.05 CNH=0.145 CZK=0.044 DKK=0.15 EUR=1.1 GBP=1.3 HKD=0.128 HUF=0.003 "
            "JPY=0.008 MXN=0.055 NOK=0.1 NZD=0.65 PLN=0.26 SEK=0.1 SGD=0.74 THB=0.029 TRY=0.05 ZAR=0.06 "
            "XAU=1800 XAG=22 XPT=950 XPD=1300 XCU=3.8"
        ).split()
    )
}
"""US dollars for one unit, of about 2015 to 2024."""

SPREAD_PIPS = 2


def indicative_rates() -> dict[str, Decimal]:
    """A fixed rate of each currency to the dollar, by pair."""
    return {f"{currency}_USD": value for currency, value in USD_OF.items() if currency != "USD"}


def indicative_quote(instrument: Instrument) -> tuple[int, int]:
    """A bid and an ask, points."""
    rate = USD_OF.get(instrument.base, Decimal(1)) / USD_OF.get(instrument.quote, Decimal(1))
    bid = max(1, int(rate.scaleb(instrument.precision)))
    return bid, bid + SPREAD_PIPS * instrument.points_per_pip
