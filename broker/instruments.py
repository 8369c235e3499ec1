"""The currency pairs and metals known without asking the broker.

A table for replays: a live account takes each instrument's figures from the broker instead. Pips and decimals follow
OANDA's (`pipLocation`, `displayPrecision`); the margin rate of a pair is the higher of its two currencies' rates.
"""

from decimal import Decimal
from difflib import get_close_matches
from functools import cache

from broker.errors import BadInput
from broker.types import Instrument

_PAIRS = (
    "AUD_CAD AUD_CHF AUD_HKD AUD_JPY AUD_NZD AUD_SGD AUD_USD CAD_CHF CAD_HKD CAD_JPY CAD_SGD CHF_HKD CHF_JPY CHF_ZAR "
    "EUR_AUD EUR_CAD EUR_CHF EUR_CZK EUR_DKK EUR_GBP EUR_HKD EUR_HUF EUR_JPY EUR_NOK EUR_NZD EUR_PLN EUR_SEK EUR_SGD "
    "EUR_TRY EUR_USD EUR_ZAR GBP_AUD GBP_CAD GBP_CHF GBP_HKD GBP_JPY GBP_NZD GBP_PLN GBP_SGD GBP_USD GBP_ZAR HKD_JPY "
    "NZD_CAD NZD_CHF NZD_HKD NZD_JPY NZD_SGD NZD_USD SGD_CHF SGD_JPY TRY_JPY USD_CAD USD_CHF USD_CNH USD_CZK USD_DKK "
    "USD_HKD USD_HUF USD_JPY USD_MXN USD_NOK USD_PLN USD_SEK USD_SGD USD_THB USD_TRY USD_ZAR ZAR_JPY"
).split()
_METALS = "XAU_USD XAU_EUR XAU_GBP XAU_JPY XAU_AUD XAU_CHF XAG_USD XAG_EUR XAG_JPY XPT_USD XPD_USD XCU_USD".split()
_CURRENCIES = frozenset(
    (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD "
        "HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL "
        "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR "
        "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP "
        "TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XAG XAU XCD XCU XOF XPD XPF XPT YER ZAR ZMW ZWL"
    ).split()
)
_COARSE = frozenset(("JPY", "HUF"))  # pips of 0.01, three decimals
_MARGIN = {
    **dict.fromkeys(("CAD", "DKK", "EUR", "USD"), "0.02"),
    **dict.fromkeys(("AUD", "NOK", "NZD", "SEK"), "0.03"),
    **dict.fromkeys(("CHF", "JPY"), "0.04"),
    **dict.fromkeys(("XAG", "XCU", "XPD", "XPT"), "0.10"),
}
_MARGIN_OTHERS = "0.05"
_METAL_PIPS = {"XAU": (-2, 3), "XPT": (-2, 3), "XPD": (-2, 3), "XAG": (-4, 5), "XCU": (-4, 5)}

KNOWN = tuple(sorted((*_PAIRS, *_METALS)))


def is_currency(code: str) -> bool:
    """Whether `code` is a currency or metal by ISO 4217 (`CNH` and copper, `XCU`, besides).

    >>> is_currency("EUR"), is_currency("eur"), is_currency("ABC")
    (True, False, False)
    """
    return code in _CURRENCIES


@cache
def instrument(name: str) -> Instrument:
    """The instrument called `BASE_QUOTE`: from the table, else by its quote currency's usual pips.

    >>> instrument("EUR_USD").precision, instrument("GBP_JPY").pip_location, instrument("XAU_USD").pip_location
    (5, -2, -2)

    Raises:
        BadInput: not two different known currencies; close names are offered.
    """
    base, _, quote = name.partition("_")
    if not (is_currency(base) and is_currency(quote) and base != quote):
        close = get_close_matches(name.upper().replace("/", "_").replace("-", "_"), KNOWN, n=3)
        mend = f"did you mean {' or '.join(close)}?" if close else "names look like EUR_USD"
        raise BadInput(f"unknown instrument {name!r}", mend=mend)
    pip_location, precision = _METAL_PIPS.get(base, (-4, 5))
    if quote in _COARSE:
        pip_location, precision = -2, 3
    margin = max(Decimal(_MARGIN.get(currency, _MARGIN_OTHERS)) for currency in (base, quote))
    return Instrument(name, pip_location, precision, margin)
