"""The configuration: typed sections, read from TOML, the environment and the command line, and written again."""

from daemon.config.reading import load
from daemon.config.sections import Account, Config, Log, Model, Oanda, Paper, Risk, State, Store, bar_length
from daemon.config.writing import reference, rows, shown, template, to_toml

__all__ = [
    "Account",
    "Config",
    "Log",
    "Model",
    "Oanda",
    "Paper",
    "Risk",
    "State",
    "Store",
    "bar_length",
    "load",
    "reference",
    "rows",
    "shown",
    "template",
    "to_toml",
]
