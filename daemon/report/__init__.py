"""The report of a run, a training or a validation: one HTML file, built from its folder, that needs no network."""

from daemon.report.page import build_report
from daemon.report.training import build_training_report, is_training
from daemon.report.validation import build_validation_report, is_validation

__all__ = ["build_report", "build_training_report", "build_validation_report", "is_training", "is_validation"]
