"""Strategies by name: built in, of the entry-point group `micro_trader.strategies`, or `path/to/file.py:Class`.

A package need not be installed to be found: in the folder that holds it, its `pyproject.toml` is enough.
"""

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path

from broker.errors import BadInput
from strategy.plugin import Context, Strategy

GROUP = "micro_trader.strategies"
BUILT_IN = {
    "muzero": "strategy.muzero:MuZero",
    "hold": "strategy.baselines:Hold",
    "random": "strategy.baselines:Random",
    "ema-cross": "strategy.baselines:EmaCross",
    "mean-reversion": "strategy.baselines:MeanReversion",
}
Factory = Callable[[Context], Strategy]


def names() -> tuple[str, ...]:
    """Every strategy known by name, sorted."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def find(name: str) -> Factory:
    """What makes the strategy called `name` from a Context.

    Raises:
        BadInput: there is none, or its code can't be loaded.
    """
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name].split(":")
        return _member(importlib.import_module(module), attribute, name)
    for entry in entry_points(group=GROUP, name=name):
        try:
            return _member(importlib.import_module(entry.module), entry.attr, name)
        except ImportError as error:
            raise BadInput(f"strategy {name!r} can't be loaded: {error}", where=f"entry point {entry.value}") from error
    if (declared := _declared(Path(name))) is not None:
        module, attribute = declared
        return _member(_module_in(Path(name), module), attribute, name)
    path, colon, attribute = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _member(_module_of(Path(path)), attribute, path)
    close = get_close_matches(name, names(), n=1)
    mend = f"did you mean {close[0]}?" if close else f"known: {', '.join(names())}, or path/to/file.py:ClassName"
    raise BadInput(f"unknown strategy {name!r}", where="--strategy", mend=mend)


def _declared(folder: Path) -> tuple[str, str] | None:
    """Module and class that the package in `folder` declares for the strategy of the same name, None without any."""
    project = folder / "pyproject.toml"
    if not project.is_file():
        return None
    try:
        points = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]
        module, _, attribute = points[folder.name].partition(":")
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        what = f'declares no strategy {folder.name!r} under [project.entry-points."{GROUP}"]'
        raise BadInput(what, where=str(project)) from error
    return module, attribute


def _module_in(folder: Path, module: str) -> object:
    """A module of a package that is not installed; the import path is left as it is."""
    package = module.partition(".")[0]
    inside = folder / package
    try:
        spec = importlib.util.spec_from_file_location(
            package, inside / "__init__.py", submodule_search_locations=[str(inside)]
        )
        if spec is None or spec.loader is None or not inside.is_dir():
            raise ImportError(f"there is no package {inside}")
        sys.modules[package] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
        return importlib.import_module(module)
    except Exception as error:
        raise BadInput(f"{module} can't be loaded: {type(error).__name__}: {error}", where=str(folder)) from error


def _module_of(path: Path) -> object:
    """The module made from a file; a fault in it is reported with the line where it arose."""
    spec = importlib.util.spec_from_file_location(f"micro_trader_plugin_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BadInput("no such strategy file", where=str(path), mend="give path/to/file.py:ClassName")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        trace = error.__traceback__
        lines = []
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(path):
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        line = getattr(error, "lineno", None) or (lines[-1] if lines else 0)
        raise BadInput(f"{type(error).__name__}: {error}", where=f"{path}:{line}") from error
    return module


def _member(module: object, attribute: str, where: str) -> Factory:
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise BadInput(f"has no class {attribute!r}", where=where)
    missing = [name for name in ("decide", "on_bar", "model", "feature_set") if not hasattr(factory, name)]
    if isinstance(factory, type) and missing and not set(missing) <= {"model", "feature_set"}:
        mend = "see strategy/plugin.py for the protocol"
        raise BadInput(f"{attribute} is no strategy: it lacks {', '.join(missing)}", where=where, mend=mend)
    return factory  # type: ignore[no-any-return]
