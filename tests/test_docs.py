"""The documentation says what the program does: keys, commands, options, links and chores."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from daemon.cli import COMMANDS, PROGRAM, module_of
from daemon.config import reference, template
from daemon.options import Parser
from daemon.web.reference import reference as api_reference

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("systemd/*.md")])


def parsers_of(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser's subcommands, at any depth."""
    choices = [action.choices or {} for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    children = [child for found in choices for child in found.values()]
    return [inner for child in children for inner in (child, *parsers_of(child))]


def command(name: str) -> list[argparse.ArgumentParser]:
    """The parsers of a command: its own and its subcommands'."""
    parser = Parser(prog=PROGRAM)
    import_module(module_of(name)).register(parser.add_subparsers())
    return parsers_of(parser)


def anchors(page: Path) -> set[str]:
    """Names of a page's headings as links spell them."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_reference_is_the_schema() -> None:
    """Each config key is documented in docs/configuration.md (`make docs` writes it)."""
    assert (ROOT / "docs/configuration.md").read_text() == reference()


def test_the_api_page_is_the_api() -> None:
    """Each route and metric is documented in docs/api.md (`make docs` writes it)."""
    assert (ROOT / "docs/api.md").read_text() == api_reference()


def test_the_template_is_the_schema() -> None:
    """config.toml in the root is the commented template (`make docs` writes it)."""
    assert (ROOT / "config.toml").read_text() == template()


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_documented(name: str) -> None:
    """docs/commands.md names each command, subcommand and option."""
    page = (ROOT / "docs/commands.md").read_text()
    assert f"## {PROGRAM} {name}\n" in page
    for parser in command(name):
        assert parser.prog.removeprefix(f"{PROGRAM} ") in page
        options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
        assert {option for option in options - {"--help"} if not re.search(rf"`[^`\n]*{option}\b", page)} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_show_examples_of_themselves(name: str) -> None:
    """Every --help ends with an example that the command's own parser accepts."""
    for parser in command(name):
        lines = (parser.epilog or "").splitlines()
        assert lines[:1] == ["example:"]
        assert any(f" {parser.prog.removeprefix(f'{PROGRAM} ')}" in line for line in lines[1:])
        for line in lines[1:]:
            program, verb, *rest = shlex.split(line)
            assert program == PROGRAM
            top = Parser(prog=PROGRAM)
            import_module(module_of(verb)).register(top.add_subparsers())
            assert callable(top.parse_args([verb, *rest]).handler)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    """A link inside the repository points to a file, and its anchor to a heading."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_has_every_page(tmp_path: Path) -> None:
    """Each page of docs/ is in the site's navigation, and the site builds without a warning."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/*.md")} | {"decisions/README.md"}
    assert listed == pages
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tutorial.html").exists()


def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    """Its commands, one after the other, in an empty folder; on fewer bars and steps, since time is short here."""
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    blocks = re.findall(r"<!-- runs -->\n```\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 11
    for line in lines:
        short = line.replace("--bars 20000", "--bars 4500").replace("--minutes 3", "--steps 40")
        program, *words = shlex.split(short)
        assert program == PROGRAM
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr[-500:]}"
    assert (tmp_path / "runs/best/report.html").exists()


def test_decisions_are_listed() -> None:
    """Each decision record is in the list of decisions."""
    folder = ROOT / "docs/decisions"
    listed = set(re.findall(r"\]\((\d{4}-[^)]*)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}


def test_chores_exist() -> None:
    """A `make` target named in the documentation exists, and each target has its line of help."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z0-9-]+):.*  ## ", makefile, re.MULTILINE))
    text = "\n".join(page.read_text() for page in PAGES)
    lines = re.findall(r"(?:`|^)make ([a-z0-9 -]+)", text, re.MULTILINE)
    named = {word for words in lines for word in words.split()[:1]}
    assert explained == targets
    assert named <= targets
    assert {"demo", "test"} <= named


def test_help_lists_the_chores() -> None:
    """`make help` prints each target with its explanation."""
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"^demo +\S", done.stdout, re.MULTILINE)
    assert re.search(r"^test +\S", done.stdout, re.MULTILINE)
