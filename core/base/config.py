"""Settings: `TRIMARAN_...` from the environment or from a TOML file with the same names, typed, each with its source.

The environment wins over the file, the file over the defaults. The file is the one that `TRIMARAN_CONFIG` names, else
`trimaran.toml` in the working directory where there is one. A name that nobody knows, or a value that is not what its
setting expects, stops the start: all such problems are told at once, each with the name, the value and what was
expected.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.base.limits import DEFAULTS, RATES, Limits

if TYPE_CHECKING:  # structlog takes its time, and `trimaran config` shows no log
    from core.base.logs import Format, Level

PREFIX: Final = "TRIMARAN_"
LIMIT_PREFIX: Final = "TRIMARAN_LIMIT_"
FILE_SETTING: Final = "TRIMARAN_CONFIG"
DEFAULT_FILE: Final = "trimaran.toml"
INTEGER_MAX: Final = 2**53 - 1
"""Beyond it a JSON number is not exact, and `welcome.limits` tells clients these."""

DAY_S: Final = 86_400


class Invalid(Exception):
    """A value is not what its setting expects; says what was expected."""


Parse = Callable[[Any], Any]
"""Takes text (from the environment) or a TOML value; gives the typed value. Raises: Invalid."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name, its default, how it is read, and a sentence for the one who sets it."""

    name: str
    default: Any
    parse: Parse
    says: str
    is_secret: bool = False

    def show(self, value: Any) -> str:
        """A value as one would write it into the environment; never a secret."""
        if self.is_secret:
            return HIDDEN
        return ",".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Config:
    """What is in force. `sources` tells by name where a value is from: `default`, `environment` or the file's path."""

    host: str
    port: int
    data_dir: Path
    access_token_s: int
    refresh_token_s: int
    allowed_origins: tuple[str, ...]
    password_cost: str
    log_level: "Level"
    log_format: "Format"
    limits: Limits
    sources: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, shown value and source of every setting."""
        return [(setting.name, setting.show(self._value(setting)), self.sources[setting.name]) for setting in SETTINGS]

    def _value(self, setting: Setting) -> Any:
        if setting.name.startswith(LIMIT_PREFIX):
            return getattr(self.limits, setting.name.removeprefix(LIMIT_PREFIX).lower())
        return getattr(self, setting.name.removeprefix(PREFIX).lower())

    def warnings(self) -> list[str]:
        """What whoever starts the system should be told loudly."""
        told = []
        if self.password_cost == "test":
            told.append("TRIMARAN_PASSWORD_COST=test: passwords are hashed cheaply, for tests only")
        off = sorted(name for name in RATES if getattr(self.limits, name) == 0)
        if off:
            told.append(f"rate limits are off: {', '.join(f'{LIMIT_PREFIX}{name.upper()}' for name in off)}")
        return told


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration."""

    name: str
    value: str | None
    expected: str
    source: str

    def __str__(self) -> str:
        value = "" if self.value is None else f"={self.value}"
        return f"{self.name}{value} ({self.source}): {self.expected}"


class ConfigError(Exception):
    """The configuration is wrong; `problems` has all that is."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: Final = problems


# ---- how values are read


def integer(low: int, high: int = INTEGER_MAX) -> Parse:
    """An integer from `low` to `high`."""

    def parse(raw: Any) -> int:
        expected = f"an integer of at least {low}" if high == INTEGER_MAX else f"an integer from {low} to {high}"
        if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,17}", raw, re.ASCII):
            raw = int(raw)
        if type(raw) is not int or not low <= raw <= high:
            raise Invalid(expected)
        return raw

    return parse


def choice(*allowed: str) -> Parse:
    """One of a few words."""

    def parse(raw: Any) -> str:
        if raw not in allowed:
            raise Invalid(f"one of {', '.join(allowed)}{suggestion(str(raw), allowed)}")
        return str(raw)

    return parse


def host(raw: Any) -> str:
    """A name or an address to listen on."""
    if not isinstance(raw, str) or not re.fullmatch(r"[0-9A-Za-z.:_-]{1,253}", raw, re.ASCII):
        raise Invalid("a host name or an address, as 127.0.0.1, 0.0.0.0 or ::1")
    return raw


def folder(raw: Any) -> Path:
    """A path; whether it can be used is found out by whoever uses it."""
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise Invalid("a path")
    return Path(raw).expanduser()


def origins(raw: Any) -> tuple[str, ...]:
    """A comma list (in TOML also an array) of web origins (RFC 6454): scheme, host and port, nothing after."""
    items = [item.strip() for item in raw.split(",")] if isinstance(raw, str) else raw
    if not isinstance(items, list):
        raise Invalid("a comma list of origins")
    found = []
    for item in filter(None, items):
        if not isinstance(item, str) or not _ORIGIN.fullmatch(item.lower()):
            raise Invalid(f"origins as https://chat.example or http://localhost:3000, without a path; {item!r} is none")
        found.append(item.lower())
    return tuple(found)


_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")

# ---- the settings

LIMITS_SAY: Final = {
    "sends_per_s": "Sends of a device a second; 0: no limit.",
    "sends_burst": "Sends of a device at once.",
    "frames_per_s": "Frames of any kind of a connection a second; 0: no limit.",
    "frames_burst": "Frames of a connection at once.",
    "frame_bytes": "A frame from a client.",
    "body_bytes": "The body of a message.",
    "server_frame_bytes": "A frame to a client.",
    "devices_per_user": "Devices of a user; one more login removes the one unused longest.",
    "connections_per_user": "Connections of a user.",
    "logins_per_hour": "Logins from an address an hour; 0: no limit.",
    "registrations_per_hour": "Registrations from an address an hour; 0: no limit.",
    "login_failures": "Failed logins for an account and address in 15 minutes; 0: no limit.",
    "watched_users": "Users whose presence a connection watches.",
    "group_members": "Members of a group.",
    "conversations_per_user": "Conversations of a user.",
    "handshakes_per_s": "New connections of a node a second; 0: no limit.",
    "hello_s": "How long a new connection may take to say hello, in seconds.",
    "heartbeat_s": "Silence after which the server pings, in seconds; after twice that it closes.",
    "outbox_bytes": "What may wait for a slow client before it has to pull.",
    "outbox_stuck_s": "How long a client may take nothing, in seconds.",
    "image_bytes": "An uploaded image.",
    "audio_bytes": "An uploaded recording.",
    "video_bytes": "An uploaded video.",
    "file_bytes": "Any other uploaded file.",
    "quota_bytes": "All uploads of a user.",
}

SETTINGS: Final = (
    Setting("TRIMARAN_HOST", "127.0.0.1", host, "Where to listen."),
    Setting("TRIMARAN_PORT", 8080, integer(0, 65_535), "The port to listen on; 0: any that is free."),
    Setting("TRIMARAN_DATA_DIR", Path("./data"), folder, "Where everything is kept; made at the first start."),
    Setting("TRIMARAN_ACCESS_TOKEN_S", 900, integer(5, DAY_S), "Life of an access token in seconds."),
    Setting("TRIMARAN_REFRESH_TOKEN_S", 30 * DAY_S, integer(60, 3_650 * DAY_S), "Life of a refresh token in seconds."),
    Setting(
        "TRIMARAN_ALLOWED_ORIGINS", (), origins, "Web origins that may connect besides our own host: a comma list."
    ),
    Setting("TRIMARAN_PASSWORD_COST", "argon2", choice("argon2", "test"), "`test` hashes cheaply: for tests only."),
    Setting("TRIMARAN_LOG_LEVEL", "info", choice("debug", "info", "warning", "error"), "What is worth a line."),
    Setting("TRIMARAN_LOG_FORMAT", "auto", choice("auto", "console", "json"), "`auto`: JSON, but not on a terminal."),
    *(
        Setting(
            f"{LIMIT_PREFIX}{field.name.upper()}",
            getattr(DEFAULTS, field.name),
            integer(0 if field.name in RATES else 1),
            LIMITS_SAY[field.name],
        )
        for field in fields(Limits)
    ),
)

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
HIDDEN: Final = "(hidden)"
VALUE_CHARS_MAX: Final = 100

# ---- what is in force


def load(environment: Mapping[str, str], directory: Path) -> Config:
    """The configuration as the environment and the file (relative names: in `directory`) give it.

    Raises: ConfigError with everything that is wrong.
    """
    problems: list[Problem] = []
    from_file, file = _read_file(environment, directory, problems)
    layers = [
        (from_file, file),
        ({name: text for name, text in environment.items() if name.startswith(PREFIX)}, "environment"),
    ]
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    sources = dict.fromkeys(values, "default")
    for layer, source in layers:
        for name, raw in layer.items():
            if name == FILE_SETTING and source == "environment":
                continue
            setting = BY_NAME.get(name)
            if setting is None:
                problems.append(Problem(name, _shown(name, raw), _unknown(name), source))
                continue
            try:
                values[name] = setting.parse(raw)
                sources[name] = source
            except Invalid as invalid:
                problems.append(Problem(name, _shown(name, raw), f"expected {invalid}", source))
    limits = _limits(values, sources, problems)
    if problems:
        raise ConfigError(problems)
    plain = {
        name.removeprefix(PREFIX).lower(): value for name, value in values.items() if not name.startswith(LIMIT_PREFIX)
    }
    return Config(**plain, limits=limits, sources=sources)


def _read_file(environment: Mapping[str, str], directory: Path, problems: list[Problem]) -> tuple[dict[str, Any], str]:
    """The values of the TOML file and its path, for messages."""
    named = environment.get(FILE_SETTING)
    path = directory / Path(named or DEFAULT_FILE).expanduser()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), str(path)
    except FileNotFoundError:
        if named:
            problems.append(Problem(FILE_SETTING, named, "expected a TOML file; there is none", "environment"))
    except OSError as error:
        problems.append(Problem(FILE_SETTING, str(path), f"expected a readable TOML file: {error.strerror}", "file"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem(FILE_SETTING, str(path), f"expected TOML: {error}", "file"))
    return {}, str(path)


def _limits(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[Problem]) -> Limits:
    try:
        return Limits(**{field.name: values[f"{LIMIT_PREFIX}{field.name.upper()}"] for field in fields(Limits)})
    except ValueError as error:
        # Each value alone is right: it is a relation between two of them that is not, told as
        # `frame_bytes is 65536, expected at least 2 * body_bytes + 4096`.
        field, _, expected = str(error).partition(" ")
        name = f"{LIMIT_PREFIX}{field.upper()}"
        problems.append(Problem(name, str(values[name]), _in_capitals(expected, values), sources[name]))
        return DEFAULTS


def _in_capitals(text: str, values: Mapping[str, Any]) -> str:
    """The fields that a text names as the settings that they are, with their values."""

    def name_of(match: re.Match[str]) -> str:
        name = f"{LIMIT_PREFIX}{match[0].upper()}"
        return f"{name} ({values[name]})" if name in values else match[0]

    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", name_of, text.partition(", ")[2])


def _unknown(name: str) -> str:
    # Compared without what all names begin with, which would make any two of them alike.
    known = {_own_part(setting): setting for setting in BY_NAME}
    close = difflib.get_close_matches(_own_part(name), list(known), n=1, cutoff=0.7)
    return f"there is no such setting{f'; did you mean {known[close[0]]}?' if close else ''}"


def _own_part(name: str) -> str:
    return name.upper().removeprefix(PREFIX).removeprefix("LIMIT_")


def suggestion(given: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` where something known is close to what was given."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


_SOUNDS_SECRET: Final = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|KEY|CREDENTIAL|DSN|URL")


def _shown(name: str, raw: Any) -> str:
    """A wrong value as it may be printed: the name alone tells whether it could be a secret."""
    setting = BY_NAME.get(name)
    if setting.is_secret if setting else _SOUNDS_SECRET.search(name):
        return HIDDEN
    text = str(raw) if str(raw).isprintable() else repr(raw)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"


def markdown() -> str:
    """The table of all settings, for docs/configuration.md."""
    lines = ["| name | default | what |", "|---|---|---|"]
    for setting in SETTINGS:
        default = setting.show(setting.default)
        lines.append(f"| `{setting.name}` | {f'`{default}`' if default else '(none)'} | {setting.says} |")
    return "\n".join(lines) + "\n"
