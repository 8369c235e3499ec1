"""On which line of a TOML text a key stands, for messages. The text is known to be valid TOML."""

import re

HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\]]+?)\s*\]\]?\s*(#.*)?$")
PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
ENTRY = re.compile(rf"\s*(?P<name>{PART}(?:\s*\.\s*{PART})*)\s*=")
LONG_TEXT = re.compile(r'"""|\'\'\'')


def lines_of(text: str) -> dict[str, int]:
    r"""Line numbers, from 1, of the tables and keys of a TOML text, by dotted name.

    >>> lines_of('seed = 1\n[risk]\n"units" = 5\nmodel.version = "best"')
    {'seed': 1, 'risk': 2, 'risk.units': 3, 'risk.model.version': 4, 'risk.model': 4}
    """
    found: dict[str, int] = {}
    table = ""
    within = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if within:
            within = "" if within in line else within
            continue
        quotes = LONG_TEXT.findall(line.split("#")[0])
        within = quotes[0] if len(quotes) % 2 else ""
        if header := HEADER.match(line):
            table = _dotted(header["name"])
            _note(found, table, number)
        elif entry := ENTRY.match(line):
            _note(found, f"{table}.{_dotted(entry['name'])}".lstrip("."), number)
    return found


def line_of(found: dict[str, int], name: str) -> int:
    """Line of a key, or of the nearest table around it (inline tables have no lines of their own); 1 failing that."""
    while name and name not in found:
        name = name.rpartition(".")[0]
    return found.get(name, 1)


def _note(found: dict[str, int], name: str, number: int) -> None:
    while name:
        found.setdefault(name, number)
        name = name.rpartition(".")[0]


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
