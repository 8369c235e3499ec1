"""Style that can be counted is a test: sizes, names, banned calls, docstrings, and a test for each module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("broker", "strategy", "training", "daemon")
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
VAGUE_NAMES = {"utils", "util", "helpers", "common", "manager", "base", "misc", "new", "fix", "core", "v2"}

CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "time.sleep", "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
}  # fmt: skip
IMPURE = CLOCKS | {"os.environ", "os.getenv", "print", "input"}
GENERATORS = ("random.", "np.random.", "numpy.random.")
SEEDED = {"Generator", "SeedSequence", "PCG64", "PCG64DXSM", "BitGenerator", "Philox", "default_rng", "Random"}
EDGES = {"broker/clock.py": CLOCKS}
"""Where the world comes in: the one clock that is real."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """Every Python file below the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as the reader knows it."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines of a function without its decorators and docstring."""
    body = function.body
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (body[0].end_lineno or 0) - body[0].lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def dotted(node: ast.AST) -> str:
    """`a.b.c` of nested attributes, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def test_files_are_short() -> None:
    """A module is one idea: at most 400 lines, tests included."""
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in sources(*FLOORS, "tests", "benchmarks")}
    assert {name: size for name, size in sizes.items() if size > LINES_OF_A_FILE} == {}


def test_functions_fit_a_screen() -> None:
    """A function has at most 60 lines, its docstring aside."""
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {length(function)}"
        for path in sources(*FLOORS, "tests", "benchmarks")
        for function in functions(tree_of(path))
        if length(function) > LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_names_say_something() -> None:
    """No module is called what could be anything."""
    assert [name_of(path) for path in sources(*FLOORS, "tests") if path.stem in VAGUE_NAMES] == []


@pytest.mark.parametrize("path", sources("broker", "strategy", "training"), ids=name_of)
def test_the_lower_floors_are_pure(path: Path) -> None:
    """Law 1: no wall clock, no global generator, no environment and no printing below the daemon."""
    allowed = EDGES.get(name_of(path), set())
    found = {f"{node.lineno}: {dotted(node)}" for node in impurities(tree_of(path)) if dotted(node) not in allowed}
    assert found == set()


def impurities(tree: ast.Module) -> Iterator[ast.Name | ast.Attribute]:
    """Uses of what the lower floors must not use."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        name = dotted(node)
        generator = name.startswith(GENERATORS) and name.rpartition(".")[2] not in SEEDED
        tail = ".".join(name.split(".")[-2:])
        if generator or name in IMPURE or (tail in IMPURE and "." in tail):
            yield node


def test_generators_are_seeded() -> None:
    """`default_rng()` without a seed draws from the machine: no run could be repeated."""
    unseeded = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources(*FLOORS, "tests", "benchmarks")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[2] in {"default_rng", "SeedSequence"}
        and not node.args
        and not node.keywords
    ]
    assert unseeded == []


def test_no_test_times_anything() -> None:
    """A test that reads a clock fails on a busy machine and proves nothing on a fast one."""
    timed = [
        f"{name_of(path)}:{node.lineno} {dotted(node)}"
        for path in sources("tests")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and dotted(node) in CLOCKS
    ]
    assert timed == []


def test_the_import_path_is_left_alone() -> None:
    """Packages are installed; nothing edits sys.path (a benchmark may reach for its peer)."""
    touched = [
        name_of(path)
        for path in sources(*FLOORS, "tests")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and dotted(node) == "sys.path"
    ]
    assert touched == []


def test_packages_only_hand_on() -> None:
    """An `__init__.py` names what a package offers; what it does stands in modules."""
    working = [
        name_of(path)
        for path in sources(*FLOORS)
        if path.name == "__init__.py"
        and any(isinstance(node, Function | ast.ClassDef) for node in ast.walk(tree_of(path)))
    ]
    assert working == []


def test_what_is_public_is_documented() -> None:
    """Every module, public class, function and method says what it is."""
    assert [line for path in sources(*FLOORS) for line in undocumented(path)] == []


def undocumented(path: Path) -> Iterator[str]:
    """Public things of a module without a docstring."""
    tree = tree_of(path)
    if tree.body and ast.get_docstring(tree) is None:
        yield f"{name_of(path)}:1"
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for item in [node, *members]:
            public = isinstance(item, Function | ast.ClassDef) and not item.name.startswith("_")
            if public and ast.get_docstring(item) is None:
                yield f"{name_of(path)}:{item.lineno} {item.name}"


def test_tests_state_their_rule() -> None:
    """A test's docstring says which rule it protects."""
    silent = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in sources("tests")
        for function in functions(tree_of(path))
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]
    assert silent == []


def test_tests_can_fail() -> None:
    """A test asserts something, itself or through a function or fixture that does."""
    able = asserting([tree_of(path) for path in sources("tests")])
    idle = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in sources("tests")
        for function in functions(tree_of(path))
        if function.name.startswith("test_") and function.name not in able
    ]
    assert idle == []


def asserting(trees: list[ast.Module]) -> set[str]:
    """Names of the functions that assert, or call one that does."""
    found: set[str] = set()
    bodies = [(function.name, list(ast.walk(function))) for tree in trees for function in functions(tree)]
    while True:
        more = {name for name, nodes in bodies if any(asserts(node, found) for node in nodes)}
        if more == found:
            return found
        found = more


def asserts(node: ast.AST, asserting: set[str]) -> bool:
    """Whether a statement or call can make a test fail, given the functions that do."""
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2]
        return name in {"raises", "fail", "warns"} | asserting or name.startswith(("assert_", "check_"))
    return isinstance(node, ast.Assert)


def test_each_module_is_tested() -> None:
    """A module has a test file of its name, or a test imports it or its room; a command is run by its name.

    Modules without functions have nothing to test.
    """
    texts = {path.relative_to(ROOT / "tests"): path.read_text() for path in sources("tests")}
    everything = "\n".join(texts.values())
    imported = set(re.findall(r"^\s*(?:from|import)\s+([\w.]+)", everything, re.MULTILINE))
    subjects = [path.parent / path.stem.removeprefix("test_") for path in texts if path.stem.startswith("test_")]
    untested = []
    for path in sources(*FLOORS):
        module = path.relative_to(ROOT).with_suffix("")
        named = any(module.as_posix().startswith(subject.as_posix()) for subject in subjects)
        room = len(module.parts) > 2 and ".".join(module.parts[:2]) in imported
        command = module.parts[:2] == ("daemon", "commands") and f'"{module.name.replace("_", "-")}"' in everything
        idle = path.stem.startswith("__") or not any(functions(tree_of(path)))
        if not (idle or named or room or command or ".".join(module.parts) in imported):
            untested.append(name_of(path))
    assert untested == []
