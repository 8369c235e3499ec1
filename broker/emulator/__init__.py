"""OANDA's v20 API served from recorded ticks: REST, pricing stream and transaction stream over loopback HTTP."""

from broker.emulator.exchange import Exchange
from broker.emulator.faults import Faults
from broker.emulator.history import History, load_history
from broker.emulator.playback import Playback
from broker.emulator.server import Emulator, Settings
from broker.emulator.store import StateFile

__all__ = ["Emulator", "Exchange", "Faults", "History", "Playback", "Settings", "StateFile", "load_history"]
