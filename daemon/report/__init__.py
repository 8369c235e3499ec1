"""The report of a run or a training: one HTML file, built from its folder alone, that needs no network."""

from daemon.report.page import build_report
from daemon.report.training import build_training_report, is_training

__all__ = ["build_report", "build_training_report", "is_training"]
