"""The body: composition root, command line, configuration, logs and reports."""

__version__ = "0.1.0"
