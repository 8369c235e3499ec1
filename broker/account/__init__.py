"""A trading account with OANDA's semantics: a deterministic state machine whose only truth is its transactions.

Time, prices and requests come in through methods; every change of state is a transaction in OANDA's own JSON shape
with consecutive ids, and folding the transactions again gives the same state.
"""

from broker.account.engine import Account
from broker.account.errors import BadRequest, Rejected
from broker.account.market import Market, Price
from broker.account.tiers import Tier

__all__ = ["Account", "BadRequest", "Market", "Price", "Rejected", "Tier"]
