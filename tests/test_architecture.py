"""Who may import whom: the table in docs/architecture.md, held against every import in src/loquent."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "loquent"
EVERYBODY_MAY = {"errors", "pretrained", "progress", "storage", "__version__"}
OWNERS = {
    "av": {"media"},
    "mediapipe": {"face"},
    "numba": {"compilation", "ops"},
    "tensorboard": {"training"},
    "torchaudio": set(),
    "torchmetrics": set(),
    "torchvision": set(),
    "transformers": {"speech"},
    "tyro": {"cli", "commands"},
}
"""Third parties that only these parts may import; torchvision's and torchaudio's wheels do not load beside a CPU torch."""
DISTRIBUTIONS = {"cv2": "opencv-contrib-python"}
"""Where the importable name is not the installed one."""
DYNAMIC = re.compile(r"loquent(\.\w+)+:\w+")
"""Names of functions that are imported when first needed, as in `loquent.ops.dispatch`."""

Rules = Mapping[str, set[str] | None]


class Import(NamedTuple):
    """One import: by which part, of which module, and whether it waits inside a function."""

    part: str
    module: str
    is_deferred: bool
    where: str


def rules_in(text: str) -> Rules:
    """The table between the markers: part -> parts it may import; None = all."""
    table = text.split("<!-- imports -->")[1].split("<!-- /imports -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, flags=re.MULTILINE)
    return {part: None if "everything" in names else set(re.findall(r"`(\w+)`", names)) for part, names in rows}


def part_of(path: Path) -> str:
    """The first folder, or the file's own name."""
    return path.parts[0].removesuffix(".py")


def imports_of(source: str, part: str, where: str) -> list[Import]:
    """All imports of a file, those inside functions and those named in strings too."""
    found: list[Import] = []

    def visit(node: ast.AST, is_deferred: bool) -> None:
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            # `from loquent import cli` names the part behind the keyword.
            modules = [f"loquent.{alias.name}" for alias in node.names] if module == "loquent" else [module]
            if module == "torch.utils.tensorboard":
                modules.append("tensorboard")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DYNAMIC.fullmatch(node.value):
            modules, is_deferred = [node.value.partition(":")[0]], True
        for module in modules:
            found.append(Import(part, module, is_deferred, f"{where}:{getattr(node, 'lineno', 0)}"))
        inside = is_deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside or _is_for_type_checkers(node))

    visit(ast.parse(source), False)
    return found


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def violations(imports: list[Import], rules: Rules) -> list[str]:
    """What the rules forbid, one sentence each."""
    faults = []
    for part, module, _, where in imports:
        top, _, rest = module.partition(".")
        if top == "":
            faults.append(f"{where}: relative import; write it out")
        elif top == "loquent":
            target = rest.partition(".")[0]
            allowed = rules[part]
            if allowed is not None and target not in allowed | EVERYBODY_MAY | {part}:
                faults.append(f"{where}: {part} must not import {target}")
        elif top in OWNERS and part not in OWNERS[top]:
            faults.append(f"{where}: {part} must not import {top}")
    return faults


@pytest.fixture(scope="module")
def rules() -> Rules:
    return rules_in((ROOT / "docs" / "architecture.md").read_text())


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(path.read_text(), part_of(path.relative_to(PACKAGE)), str(path.relative_to(ROOT)))
    ]


def test_the_table_names_every_part_and_no_other(rules: Rules) -> None:
    there = {part_of(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert set(rules) == there
    named = {target for allowed in rules.values() if allowed for target in allowed}
    assert named <= there


def test_imports_keep_to_the_table(imports: list[Import], rules: Rules) -> None:
    assert len(imports) > 300, "the files were not found"
    assert violations(imports, rules) == []


@pytest.mark.parametrize(
    ("part", "planted", "fault"),
    [
        ("rendering", "from loquent.fields.er_nerf import ErNerfHead", "rendering must not import fields"),
        ("geometry", "def f():\n    import loquent.media.video", "geometry must not import media"),
        ("ops", "BODY = 'loquent.nn.mlp:Mlp'", "ops must not import nn"),
        ("face", "from loquent import cli", "face must not import cli"),
        ("prepare", "import mediapipe as mp", "prepare must not import mediapipe"),
        ("evaluation", "from torchvision.io import read_image", "evaluation must not import torchvision"),
        ("data", "from . import clip", "relative import; write it out"),
    ],
)
def test_a_planted_violation_is_found(rules: Rules, part: str, planted: str, fault: str) -> None:
    found = violations(imports_of(planted, part, "planted.py"), rules)
    assert len(found) == 1
    assert found[0].startswith("planted.py:")
    assert found[0].endswith(fault)


def test_commands_import_parts_only_inside_functions(imports: list[Import]) -> None:
    at_once = {found.module for found in imports if found.part in ("cli", "commands") and not found.is_deferred}
    parts = {module.split(".")[1] for module in at_once if module.startswith("loquent.")}
    assert parts == {"__version__", "commands", "config", "errors"}


def test_parts_form_no_circle_when_imported(imports: list[Import]) -> None:
    needs: dict[str, set[str]] = {}
    for part, module, is_deferred, _ in imports:
        target = module.split(".")[1] if module.startswith("loquent.") else part
        needs.setdefault(part, set())
        if not is_deferred and target not in (part, "__version__"):
            needs[part].add(target)
    while free := {part for part, targets in needs.items() if not targets & needs.keys()}:
        needs = {part: targets for part, targets in needs.items() if part not in free}
    assert not needs, f"these parts import each other: {needs}"


def test_every_third_party_is_a_declared_dependency(imports: list[Import]) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^\w-]", line)[0] for line in declared}
    used = {found.module.partition(".")[0] for found in imports} - {"loquent", "__future__"} - sys.stdlib_module_names
    assert {DISTRIBUTIONS.get(name, name) for name in used} <= names
