"""Settings: what is read from where, and how whoever starts the system learns what is wrong."""

from dataclasses import fields
from pathlib import Path

import pytest

from core.base.config import BY_NAME, LIMIT_PREFIX, LIMITS_SAY, Config, ConfigError, load, markdown
from core.base.limits import DEFAULTS, Limits
from tests.house.source import ROOT


def problems_of(environment: dict[str, str], directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environment, directory)
    return [str(problem) for problem in caught.value.problems]


def source_of(config: Config, name: str) -> str:
    return next(source for row, _, source in config.rows() if row == name)


def test_without_any_setting_the_defaults_of_the_contract_are_in_force(tmp_path: Path) -> None:
    config = load({"PATH": "/bin", "TRIM": "x"}, tmp_path)
    assert (config.host, config.port, config.data_dir) == ("127.0.0.1", 8080, Path("data"))
    assert (config.access_token_s, config.refresh_token_s) == (900, 30 * 86_400)
    assert config.allowed_origins == ()
    assert config.limits == DEFAULTS
    assert {source for _, _, source in config.rows()} == {"default"}
    assert config.warnings() == []


def test_every_limit_is_a_setting_with_a_sentence(tmp_path: Path) -> None:
    names = {field.name for field in fields(Limits)}
    assert set(LIMITS_SAY) == names
    for name in names:
        shown = load({f"{LIMIT_PREFIX}{name.upper()}": str(getattr(DEFAULTS, name) + 1)}, tmp_path)
        assert getattr(shown.limits, name) == getattr(DEFAULTS, name) + 1


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "trimaran.toml").write_text(
        'TRIMARAN_PORT = 1111\nTRIMARAN_HOST = "::1"\nTRIMARAN_LIMIT_HELLO_S = 3\n'
        'TRIMARAN_ALLOWED_ORIGINS = ["https://a.test", "http://b.test:3000"]\n',
        encoding="utf-8",
    )
    config = load({"TRIMARAN_PORT": "2222"}, tmp_path)
    assert (config.host, config.port, config.limits.hello_s) == ("::1", 2222, 3)
    assert config.allowed_origins == ("https://a.test", "http://b.test:3000")
    assert source_of(config, "TRIMARAN_PORT") == "environment"
    assert source_of(config, "TRIMARAN_HOST") == str(tmp_path / "trimaran.toml")
    assert source_of(config, "TRIMARAN_DATA_DIR") == "default"


def test_a_named_file_is_read_instead_and_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "trimaran.toml").write_text("TRIMARAN_PORT = 1111\n", encoding="utf-8")
    (tmp_path / "other.toml").write_text("TRIMARAN_PORT = 3333\n", encoding="utf-8")
    assert load({"TRIMARAN_CONFIG": "other.toml"}, tmp_path).port == 3333
    assert problems_of({"TRIMARAN_CONFIG": "missing.toml"}, tmp_path) == [
        "TRIMARAN_CONFIG=missing.toml (environment): expected a TOML file; there is none"
    ]


def test_a_file_that_is_no_toml_or_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("TRIMARAN_PORT = = 1\n", encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "expected TOML" in problems_of({"TRIMARAN_CONFIG": "broken.toml"}, tmp_path)[0]
    assert "expected TOML" in problems_of({"TRIMARAN_CONFIG": "binary.toml"}, tmp_path)[0]
    assert "expected a readable TOML file" in problems_of({"TRIMARAN_CONFIG": "."}, tmp_path)[0]


def test_an_unknown_name_is_told_with_the_name_that_is_meant(tmp_path: Path) -> None:
    assert problems_of({"TRIMARAN_LIMIT_SEND_PER_S": "5"}, tmp_path) == [
        "TRIMARAN_LIMIT_SEND_PER_S=5 (environment): there is no such setting; did you mean TRIMARAN_LIMIT_SENDS_PER_S?"
    ]
    assert problems_of({"TRIMARAN_": ""}, tmp_path) == ["TRIMARAN_= (environment): there is no such setting"]
    (tmp_path / "trimaran.toml").write_text("port = 1\n[limits]\nhello_s = 3\n", encoding="utf-8")
    assert len(problems_of({}, tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRIMARAN_PORT", "", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "http", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "65536", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "-1", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "8080 ", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "８０", "an integer from 0 to 65535"),
        ("TRIMARAN_PORT", "9" * 5_000, "an integer from 0 to 65535"),
        ("TRIMARAN_HOST", "", "a host name or an address"),
        ("TRIMARAN_HOST", "a b", "a host name or an address"),
        ("TRIMARAN_DATA_DIR", "", "a path"),
        ("TRIMARAN_ACCESS_TOKEN_S", "0", "an integer from 5 to 86400"),
        ("TRIMARAN_LIMIT_SENDS_PER_S", "-1", "an integer of at least 0"),
        ("TRIMARAN_LIMIT_BODY_BYTES", "0", "an integer of at least 1"),
        ("TRIMARAN_LIMIT_QUOTA_BYTES", "1e9", "an integer of at least 1"),
        ("TRIMARAN_PASSWORD_COST", "tset", "one of argon2, test; did you mean test?"),
        ("TRIMARAN_LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
        ("TRIMARAN_ALLOWED_ORIGINS", "https://a.test/", "origins as https://chat.example"),
        ("TRIMARAN_ALLOWED_ORIGINS", "*", "origins as https://chat.example"),
        ("TRIMARAN_ALLOWED_ORIGINS", "https://a.test,null", "origins as https://chat.example"),
        ("TRIMARAN_ALLOWED_ORIGINS", "https://user@a.test", "origins as https://chat.example"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_was_expected(
    name: str, value: str, expected: str, tmp_path: Path
) -> None:
    (told,) = problems_of({name: value}, tmp_path)
    assert told.startswith(f"{name}={value[:50]}")
    assert f"expected {expected}" in told
    assert len(told) < 400


@pytest.mark.parametrize("toml", ["TRIMARAN_PORT = true", "TRIMARAN_PORT = 80.5", "TRIMARAN_PORT = [80]"])
def test_a_toml_value_of_another_type_is_wrong(toml: str, tmp_path: Path) -> None:
    (tmp_path / "trimaran.toml").write_text(toml, encoding="utf-8")
    assert "expected an integer" in problems_of({}, tmp_path)[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "trimaran.toml").write_text("TRIMARAN_HOTS = 1\n", encoding="utf-8")
    told = problems_of({"TRIMARAN_PORT": "x", "TRIMARAN_LIMIT_HELLO_S": "0", "TRIMARAN_X": ""}, tmp_path)
    assert len(told) == 4


def test_limits_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    (told,) = problems_of({"TRIMARAN_LIMIT_BODY_BYTES": "60000"}, tmp_path)
    assert told.startswith("TRIMARAN_LIMIT_FRAME_BYTES=65536")
    assert "TRIMARAN_LIMIT_BODY_BYTES" in told
    assert "60000" in told


def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path) -> None:
    (told,) = problems_of({"TRIMARAN_TOKEN_SECRET": "canary"}, tmp_path)
    assert "canary" not in told
    assert "TRIMARAN_TOKEN_SECRET" in told


def test_what_weakens_the_system_is_told_loudly(tmp_path: Path) -> None:
    config = load({"TRIMARAN_PASSWORD_COST": "test", "TRIMARAN_LIMIT_SENDS_PER_S": "0"}, tmp_path)
    assert any("TRIMARAN_PASSWORD_COST=test" in told for told in config.warnings())
    assert any("TRIMARAN_LIMIT_SENDS_PER_S" in told for told in config.warnings())


def test_the_documentation_has_the_table_of_all_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert markdown() in page, "make it anew with: trimaran config --markdown"
    assert all(f"`{name}`" in page for name in BY_NAME)
