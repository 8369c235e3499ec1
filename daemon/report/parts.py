"""What every report's page is made of: tiles, tables, numbers as text, and the digests of its policy.

What a caller hands over as text is escaped here; nothing else becomes markup.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

Row = tuple[str, ...]


def tile(name: str, value: str, detail: str, sign: float = 0.0) -> str:
    """A figure with its name; green or red by `sign`."""
    tone = "good" if sign > 0 else "bad" if sign < 0 else "plain"
    inner = f"<h3>{escape(name)}</h3><p class={tone}>{escape(value)}</p><small>{escape(detail)}</small>"
    return f"<div class=tile>{inner}</div>"


def table(header: Row, rows: Sequence[Row]) -> str:
    """Rows of text under a header; nothing without rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def signed(value: float, decimals: int) -> str:
    """A number with its sign, and none where it rounds to 0."""
    text = f"{value:+,.{decimals}f}"
    return text.replace("-", "\u2212") if float(text.replace(",", "")) else text[1:]


def asset(name: str) -> str:
    """A file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """What a content security policy calls a script or a style by."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
