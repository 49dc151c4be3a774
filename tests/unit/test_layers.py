"""Imports point downwards only, wherever in a file they stand, and each outside world has one importer."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "gitcoord"
LAYERS = (
    {"values"},
    {"errors"},
    {"model", "model_time"},
    {"names", "paths", "canonical", "plainjson", "tree", "tree_entries", "render", "records", "envelope", "principals"},
    {"state"},
    {"transitions", "replay"},
    {"store", "runtime", "locate", "config", "programs", "remote", "signing"},
    {"log"},
    {"merge"},
    {"verify"},
    {"keeper"},
    {"coordinator"},
    {"sharing"},
    {"service"},
    {"cli", "mcp_server", "demo", "hooks", "__main__"},
)
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
FACES = LAYERS[-1]
ONLY_IN = {
    "dulwich": {"store"},
    "gnupg": {"signing"},
    "cryptography": {"signing"},
    "detect_secrets": {"service"},
} | dict.fromkeys(("mcp", "rich", "argparse", "pydantic", "shtab"), FACES)
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(file: Path) -> None:
    part = part_of(file)
    for name in imports(file):
        top, _, rest = name.partition(".")
        if top == "gitcoord" and part != "__init__":
            other = rest.partition(".")[0]
            if other not in {"", "__version__"}:
                assert other == part or HEIGHT[other] <= HEIGHT[part], f"{file} imports {name} from above"
        else:
            assert part in ONLY_IN.get(top, {part}), f"{file} imports {name}"


def test_layers_have_no_ring() -> None:
    edges = {(part_of(file), name.split(".")[1]) for file in FILES for name in imports(file) if name[:9] == "gitcoord."}
    left = {part for edge in edges for part in edge if part in HEIGHT}
    while free := {part for part in left if not any(a == part and b in left and a != b for a, b in edges)}:
        left -= free
    assert not left


def test_only_config_reads_the_environment() -> None:
    readers = {
        part_of(file)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}
    }
    readers |= {part_of(file) for file in FILES if {"os.environ", "os.environb", "os.getenv"} & set(imports(file))}
    assert readers <= {"config"}
