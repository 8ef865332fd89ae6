"""The house rules that no linter knows, one checker each: a source in, findings out.

An exception is announced here, with its reason, and fails the tests when it is no longer needed.
"""

import ast
from collections.abc import Iterator

from tests.house.source import Finding, Source, is_in, is_of

LINES_MAX = 450

LONG_FILES: dict[str, str] = {}
"""Path -> why this file is longer than LINES_MAX."""

REAL_SLEEPERS: dict[str, str] = {
    "tests/faults/run_under_faults.py": "clients write at a rate, and a process dies at a moment that nothing announces",
    "tests/harness/server.py": "nothing but asking again tells when another process serves; bounded",
}
"""Path of a file in tests -> why it must wait by the real clock."""

# Only the floor of the system knows what time it is and throws dice (the bridge's threads have their own waits): that
# makes a run replayable. Secrets are compared by `hmac.compare_digest`, so nothing of `secrets` is needed.
CLOCKS_AND_DICE = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.getrandom",
    "os.urandom",
    "random",
    "secrets",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
    "trio.current_time",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.uuid6",
    "uuid.uuid7",
    "uuid.uuid8",
    "uuid_utils",
)

THREADS_AND_LOOPS = (
    "_thread",
    "asyncio",
    "concurrent.futures",
    "multiprocessing",
    "queue",
    "threading",
    "trio.from_thread",
    "trio.to_thread",
)

SLEEPS = ("anyio.sleep", "asyncio.sleep", "time.sleep", "trio.sleep", "trio.sleep_until")

SKIPS = (
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
    "pytest.skip",
    "pytest.xfail",
    "unittest.SkipTest",
    "unittest.expectedFailure",
    "unittest.skip",
    "unittest.skipIf",
    "unittest.skipUnless",
)


def long_files(source: Source) -> Iterator[Finding]:
    """A file is one idea; a longer one is two, or says here why not."""
    lines = source.text.count("\n")
    if lines > LINES_MAX and source.path not in LONG_FILES:
        yield Finding(source.path, lines, f"{lines} lines, at most {LINES_MAX}")


def missing_docstrings(source: Source) -> Iterator[Finding]:
    """A module says what it owns. An empty file has nothing to say."""
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "no module docstring")


def clocks_and_dice(source: Source) -> Iterator[Finding]:
    """Clocks, random numbers and ids come through core/base."""
    if not is_in(source.path, "core/base", "core/bridge"):
        yield from _uses_of(source, CLOCKS_AND_DICE, "clocks, random numbers and ids come through core/base")


def threads_and_loops(source: Source) -> Iterator[Finding]:
    """asyncio and threads stay in core/bridge."""
    if not is_in(source.path, "core/bridge"):
        yield from _uses_of(source, THREADS_AND_LOOPS, "threads and asyncio stay in core/bridge")


def lowlevel(source: Source) -> Iterator[Finding]:
    """`trio.lowlevel` stays in core/reactor (there in one module: `lowlevel_modules`) and in core/bridge."""
    if not is_in(source.path, "core/bridge", "core/reactor"):
        yield from _uses_of(source, ("trio.lowlevel",), "trio.lowlevel stays in core/reactor and core/bridge")


def lowlevel_modules(reactor: list[Source]) -> list[str]:
    """The modules of the reactor that use `trio.lowlevel`; one is allowed."""
    return [source.path for source in reactor if any(_uses_of(source, ("trio.lowlevel",), ""))]


def core_imports_of_sidecars(source: Source) -> Iterator[Finding]:
    """Of core, a sidecar imports base and rules, an rpc.py also rpc, a routes.py the JSON of protocol, a store bridge;
    the wiring everything.
    """
    if not is_in(source.path, "sidecars") or is_in(source.path, "sidecars/process"):
        return
    allowed = ["core.base", "core.rules"]
    if source.path.endswith("/rpc.py"):
        allowed.append("core.rpc")
    if source.path.endswith("/routes.py"):
        allowed += ["core.protocol.bodies", "core.protocol.envelope"]
    if is_in(source.path, "sidecars/stores"):
        allowed.append("core.bridge")
    for name, line in source.imports:
        if is_of(name, "core") and not is_of(name, *allowed):
            yield Finding(source.path, line, f"imports {name}; of core only {', '.join(allowed)}")


def store_imports(source: Source) -> Iterator[Finding]:
    """Only the wiring knows the stores."""
    if not is_in(source.path, "sidecars/process", "sidecars/stores"):
        for name, line in source.imports:
            if is_of(name, "sidecars.stores"):
                yield Finding(source.path, line, f"imports {name}; only sidecars/process knows the stores")


def skips(source: Source) -> Iterator[Finding]:
    """A missing component is a failure, not a skip."""
    yield from _uses_of(source, SKIPS, "a test passes or fails")


def sleeps(source: Source) -> Iterator[Finding]:
    """Tests never sleep, but by a virtual clock: in a function with a parameter `clock`, or that makes a MockClock."""
    if source.path in REAL_SLEEPERS:
        return
    virtual = {id(node) for function in _virtual_functions(source) for node in ast.walk(function)}
    for name, node in source.uses:
        if is_of(name, *SLEEPS) and (id(node) not in virtual or not is_of(name, "trio")):
            yield Finding(source.path, node.lineno, f"{name}: tests never sleep by the real clock")


def _virtual_functions(source: Source) -> Iterator[ast.AST]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            has_clock = any(argument.arg == "clock" for argument in arguments)
            if has_clock or any(is_of(name, "trio.testing.MockClock") for name, _ in source.uses_in(node)):
                yield node


def _uses_of(source: Source, names: tuple[str, ...], why: str) -> Iterator[Finding]:
    """The lines that import one of the names from its module, or use it through the module; one finding a line."""
    used = source.imports + [(name, node.lineno) for name, node in source.uses]
    breaches = {line: name for name, line in used if is_of(name, *names)}
    for line, name in sorted(breaches.items()):
        yield Finding(source.path, line, f"{name}: {why}")
