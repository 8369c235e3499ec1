"""One reader per format of tick file."""
