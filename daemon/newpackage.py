"""`new-strategy`: a plugin package from the templates beside this module."""

import re
from pathlib import Path
from string import Template

from broker.errors import BadInput
from strategy.discovery import names

TEMPLATES = Path(__file__).parent / "newstrategy"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)


def write_package(name: str, within: Path) -> Path:
    """Write the package of a strategy.

    Args:
        name: of the strategy, lower case, words joined by hyphens. within: the folder that shall hold it.

    Returns:
        The package's folder.

    Raises:
        BadInput: the name is none or taken, or the folder is there or can't be written.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name for a strategy", where="NAME", mend="small letters and hyphens: my-idea")
    if name in names():
        raise BadInput(f"there is a strategy {name!r} already", where="NAME", mend="choose another name")
    package = name.replace("-", "_")
    words = {"name": name, "package": package, "cls": "".join(word.capitalize() for word in name.split("-"))}
    folder = within / name
    try:
        folder.mkdir(parents=True)
        for template, place in {
            "pyproject.toml.txt": "pyproject.toml",
            "README.md.txt": "README.md",
            "strategy.py.txt": f"{package}/strategy.py",
            "test_strategy.py.txt": "tests/test_strategy.py",
        }.items():
            (folder / place).parent.mkdir(exist_ok=True)
            text = Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
            (folder / place).write_text(text, encoding="utf-8")
        (folder / package / "__init__.py").write_text(f'"""The strategy {name}."""\n', encoding="utf-8")
    except FileExistsError as error:
        raise BadInput("is there already", where=str(folder), mend="choose another name, or remove it") from error
    except (PermissionError, NotADirectoryError) as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(folder)) from error
    return folder
