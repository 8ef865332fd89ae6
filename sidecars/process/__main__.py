"""The command `trimaran`: run the embedded system, show its configuration, check a history.

Importing what a command needs is left to the command: `version` and `config` answer at once. What is wrong with the
configuration, the data directory or the port is told in a line, without a trace, and ends with exit code 2.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

DONE = 0
FAILED = 1
BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return DONE
    except BrokenPipeError:
        # Whoever read our output has enough (`trimaran config | head`); nor may the interpreter's last flush complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trimaran", description="A distributed real-time chat.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="start everything in one process; Ctrl-C stops it")
    run.set_defaults(command=_run)

    config = commands.add_parser("config", help="show the settings in force, and where each value comes from")
    config.add_argument(
        "--markdown", action="store_true", help="the table of all settings, as in docs/configuration.md"
    )
    config.set_defaults(command=_config)

    version = commands.add_parser("version", help="show the version")
    version.set_defaults(command=_version)

    check = commands.add_parser("check", help="check recorded histories of clients against what is promised")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true", help="for programs")
    check.set_defaults(command=_check)
    return parser


def _run(_options: argparse.Namespace) -> int:
    from core.base.config import ConfigError, load

    # Until the system listens for it itself, SIGTERM is as good as Ctrl-C.
    signal.signal(signal.SIGTERM, _stop)
    try:
        config = load(os.environ, Path.cwd())
    except ConfigError as error:
        return _refuse_configuration(error.problems)
    for warning in config.warnings():
        _complain(f"WARNING: {warning}")
    from core.base.errors import TrimaranError
    from core.base.key_file import KeyFileUnusable
    from sidecars.process import all_in_one
    from sidecars.stores.embedded.data_dir import DataDirUnusable

    foreseen = (TrimaranError, DataDirUnusable, KeyFileUnusable, OSError)
    try:
        return all_in_one.main(config)
    except foreseen as error:
        return _refuse(error)
    except BaseExceptionGroup as group:
        ours, others = group.split(foreseen)
        if ours is None or others is not None:
            raise
        return _refuse(_first(ours))


def _config(options: argparse.Namespace) -> int:
    from core.base import config

    if options.markdown:
        print(config.markdown(), end="")
        return DONE
    try:
        rows = config.load(os.environ, Path.cwd()).rows()
    except config.ConfigError as error:
        return _refuse_configuration(error.problems)
    width = max(len(f"{name}={value}") for name, value, _ in rows)
    for name, value, source in rows:
        print(f"{f'{name}={value}':<{width}}  # {source}")
    return DONE


def _version(_options: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"trimaran {version('trimaran')}")
    return DONE


def _check(options: argparse.Namespace) -> int:
    from core.history import report

    return report.check(options.files, sys.stdout, as_json=options.json)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refuse(error: BaseException) -> int:
    _complain(str(error))
    return BAD_INPUT


def _refuse_configuration(problems: Sequence[object]) -> int:
    for problem in problems:
        _complain(str(problem))
    return BAD_INPUT


def _complain(text: str) -> None:
    print(f"trimaran: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
