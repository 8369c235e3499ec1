"""The report of a run: one HTML file, built from the run's folder alone, that needs no network."""

from daemon.report.page import build_report

__all__ = ["build_report"]
