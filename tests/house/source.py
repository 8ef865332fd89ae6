"""A source file as the house rules see it: its text, its tree, what it imports and which names it uses, in full."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Source:
    """A Python file; `path` is relative to the repository's root, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> list[tuple[str, int]]:
        """The full dotted names that the file imports, each with its line; `from a import b` is `a.b`."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        return found

    @cached_property
    def uses(self) -> list[tuple[str, ast.expr]]:
        """The dotted names that the code uses, aliases resolved: `t.sleep` is `trio.sleep` after `import trio as t`."""
        return list(self.uses_in(self.tree))

    def uses_in(self, root: ast.AST) -> Iterator[tuple[str, ast.expr]]:
        """As `uses`, of one part of the tree."""
        for node in ast.walk(root):
            if isinstance(node, ast.Name | ast.Attribute) and (name := self._full_name(node)):
                yield name, node

    def _full_name(self, node: ast.expr) -> str | None:
        rest: list[str] = []
        while isinstance(node, ast.Attribute):
            rest.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._aliases:
            return None
        return ".".join([self._aliases[node.id], *rest])

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """What each imported name stands for."""
        aliases: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    short = alias.name.partition(".")[0]
                    aliases[alias.asname or short] = alias.name if alias.asname else short
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return aliases


def is_in(path: str, *folders: str) -> bool:
    """True where `path` lies in one of the folders, at any depth."""
    return any(path.startswith(f"{folder}/") for folder in folders)


def is_of(name: str, *modules: str) -> bool:
    """True where the dotted name is one of the modules or something inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def sources(*folders: str) -> list[Source]:
    """All Python files below the folders, generated ones left out, in the order of their paths."""
    return [source for folder in folders for source in _sources_in(folder)]


@cache
def _sources_in(folder: str) -> list[Source]:
    paths = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / folder).rglob("*.py"))}
    return [
        Source(name, path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if not is_in(name, "protos/gen", "tests/flow/node/node_modules")
    ]
