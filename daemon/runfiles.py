"""The files of a run's folder and their columns (interface: What a run leaves in its folder)."""

DECISIONS = "decisions.jsonl"
TRADES = "trades.csv"
ORDERS = "orders.csv"
CONFIG = "config.toml"
ENVIRONMENT = "environment.json"
REPORT = "report.html"
SUMMARY = "summary.json"

TRADE_COLUMNS = (
    "instrument",
    "side",
    "units",
    "open_time",
    "open_price",
    "close_time",
    "close_price",
    "pips",
    "pnl",
    "currency",
    "dd_sum",
    "reward",
    "bars",
    "model",
    "exit_reason",
    "stop_price",
    "take_profit_price",
)
ORDER_COLUMNS = (
    "id",
    "time",
    "instrument",
    "side",
    "units",
    "type",
    "outcome",
    "fill_time",
    "fill_price",
    "reason",
)
