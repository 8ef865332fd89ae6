"""What must not be seen: in files by others, in pages from elsewhere, in logs by anybody."""

import json
import re
import stat
from pathlib import Path

import pytest

from sidecars.process import static
from tests.security.peer import Peer, Refused
from tests.security.world import CANARY, PASSWORD, UNLIMITED, Target, attacked, direct, messages, new_id

WEB = static.web_root()
assert WEB is not None
PAGES = static.read_files(WEB)


def test_what_is_kept_is_for_its_owner_alone(target: Target) -> None:
    target.register()
    data_dir = target.server.data_dir
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"token-key.pem", "trimaran.db"}
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {
        path.name: "0o600" for path in files
    }


def test_two_systems_have_two_keys(target: Target, hasty: Target) -> None:
    keys = [(each.server.data_dir / "token-key.pem").read_bytes() for each in (target, hasty)]
    assert keys[0] != keys[1]
    token = target.register().token
    assert hasty.rest("GET", "/user-service/users/me", token=token).problem["code"] == "unauthenticated"


def test_no_secret_is_in_the_repository() -> None:
    root = Path(__file__).parents[2]
    shipped = [
        path
        for folder in ("core", "sidecars", "client", "web", "tools")
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".js", ".mjs", ".html", ".css", ".json", ".toml", ".sh", "")
    ]
    assert len(shipped) > 50
    for path in shipped:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert "PRIVATE KEY-----" not in text, path
        assert not re.search(r"eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}", text), path


# ---- pages


@pytest.mark.parametrize("path", PAGES)
def test_a_file_of_the_web_client_is_served_with_a_strict_policy(target: Target, path: str) -> None:
    answer = target.rest("GET", path)
    parts = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    policy = {name: values for name, *values in parts}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert policy["frame-ancestors"] == ["'none'"]
    if answer.headers["content-type"].startswith("text/html"):
        assert policy["default-src"] == ["'self'"]
        assert policy["object-src"] == ["'none'"]
        assert policy["base-uri"] == ["'none'"]
        for name, values in policy.items():
            for value in values:
                is_ours = (
                    value in ("'self'", "'none'", "blob:", "data:")
                    or value.split("://")[-1] == f"127.0.0.1:{target.port}"
                )
                assert is_ours, (name, value)
        for name in ("script-src", "default-src", "style-src"):
            assert not {"data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"} & set(policy.get(name, []))


@pytest.mark.parametrize("path", [path for path, file in PAGES.items() if file.kind.startswith("text/html")])
def test_a_page_has_nothing_inline_and_nothing_from_elsewhere(path: str) -> None:
    html = PAGES[path].content.decode()
    for tag, attributes, content in re.findall(r"<(script|style)\b([^>]*)>(.*?)</\1>", html, re.DOTALL):
        assert tag == "script", "an inline style"
        assert "src=" in attributes
        assert not content.strip()
    assert not re.search(r"<[^>]+\son\w+\s*=", html)
    assert not re.search(r"<[^>]+\sstyle\s*=", html)
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?(?:\w+:)?//", html)


@pytest.mark.parametrize("path", [path for path in PAGES if path.endswith((".js", ".mjs"))])
def test_a_script_turns_no_text_into_markup(path: str) -> None:
    script = PAGES[path].content.decode()
    for way in (
        r"\.innerHTML\s*\+?=(?!=)",
        r"\.outerHTML\s*\+?=(?!=)",
        r"insertAdjacentHTML",
        r"document\.write",
        r"\beval\(",
        r"new Function\(",
        r"srcdoc",
    ):
        assert not re.search(way, script), (path, way)
    assert not re.search(r"(?:import|fetch)\s*\(?\s*[\"'`]https?://", script)


# ---- logs


def test_planted_canaries_are_found_in_no_log_however_much_is_logged(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = UNLIMITED | {"TRIMARAN_LOG_LEVEL": "debug"}
    with attacked(tmp_path_factory.mktemp("talkative"), settings) as target:
        ann, bob = target.people("Ann " + CANARY, "Bob")
        conversation = direct(ann, bob)
        target.secrets |= {ann.email, bob.email}
        with ann.open(since=CANARY) as peer, bob.open() as bobs:
            for text in (CANARY, f"{CANARY}\\ud800", f"{CANARY}\\u0000"):
                send = f'{{"type":"send","client_id":"{new_id()}","to":"{bob.id}","body":{{"text":"{text}"}}}}'
                peer.send_text(send)
            peer.send_text(f"{{{CANARY}")
            peer.send_text(json.dumps({"type": CANARY, "id": CANARY}))
            peer.send("renew", token=CANARY + ann.token)
            assert bobs.until("message")["body"] == {"text": CANARY}
            peer.send_bytes(b"\x07" + CANARY.encode())
            assert peer.close_code() == 1002
        for token in (CANARY, ann.token + CANARY, ann.refresh_token):
            ann.target.rest("GET", "/user-service/users/me", token=token)
            with pytest.raises(Refused):
                Peer(target.port, headers={"Authorization": f"Bearer {token}"})
            with pytest.raises(Refused):
                Peer(target.port, target=f"/chat/ws?token={token}")
        for method, path, body in (
            ("POST", "/user-service/auth/login", {"email": f"{CANARY}@people.test", "password": CANARY}),
            ("POST", "/user-service/auth/login", {"email": ann.email, "password": CANARY}),
            ("POST", "/user-service/auth/login", {"email": CANARY, "password": [CANARY]}),
            ("POST", "/user-service/auth/register", {"email": ann.email, "name": CANARY, "password": CANARY}),
            ("POST", "/user-service/auth/refresh", {"refresh_token": ann.refresh_token + CANARY}),
            ("POST", "/user-service/auth/refresh", {"refresh_token": ann.refresh_token}),
            ("PATCH", "/user-service/users/me", {"password": CANARY * 2, "current_password": PASSWORD}),
            ("POST", messages(conversation), {"client_id": new_id(), "body": {"text": CANARY}}),
            ("POST", messages(conversation), {"client_id": CANARY, "body": {"text": CANARY}}),
            ("GET", f"/user-service/users?search={CANARY}", None),
            ("GET", f"/user-service/users/{CANARY}", None),
            ("GET", f"/{CANARY}?token={CANARY}", None),
            ("GET", f"/group-service/groups?cursor={CANARY}", None),
            ("POST", f"/group-service/invites/{CANARY}/accept", None),
            ("DELETE", "/user-service/users/me", None),
        ):
            answer = ann.rest(
                method, path, *([body] if body is not None else []), headers={"X-Canary": CANARY, "Cookie": CANARY}
            )
            if method == "POST" and path.endswith("refresh") and answer.status == 200:
                target.secrets |= {answer.json["access_token"], answer.json["refresh_token"]}
        target.server.stop()
        shown = [secret for secret in target.secrets if secret in target.server.log_text()]
        assert not shown
        target.server.start()
