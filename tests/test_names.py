"""Every name that a function uses is there. Ruff and mypy cannot tell: to them the shapes of jaxtyping look like names, too, so
their search for unknown ones is off."""

import builtins
import dis
import importlib
from collections.abc import Collection, Iterator
from pathlib import Path
from types import CodeType

import pytest

SOURCES = Path(__file__).parents[1] / "src"
MODULES = sorted(SOURCES.rglob("*.py"))


def unknown_names(source: str, known: Collection[str]) -> set[str]:
    """Global names that the functions of a module load, but that are neither in the module nor built in."""
    return {
        name for name in _loaded(compile(source, "module", "exec")) if name not in known and not hasattr(builtins, name)
    }


def _loaded(code: CodeType) -> Iterator[str]:
    """Global names that functions inside `code` load."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from (step.argval for step in dis.get_instructions(inner) if step.opname == "LOAD_GLOBAL")
            yield from _loaded(inner)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_functions_use_names_that_exist(path: Path) -> None:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    assert unknown_names(path.read_text(), vars(module).keys()) == set()


def test_a_name_that_is_nowhere_is_found() -> None:
    source = "import math\ndef area(r):\n    return [pi_ * abs(r) ** k for k in (2,)] + [math.pi]\n"
    assert unknown_names(source, {"math", "area"}) == {"pi_"}
