"""The web client's files: read once at the start, served from memory by their exact names.

A path that is not in the table does not exist, so there is nothing to traverse. Browsers ask each time (`no-cache`) and
get 304 while the file is the same: a new version of the client is there at the next load.
"""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from quart import Blueprint, Response, request

from core.rules.names import OPEN
from sidecars.ports.http import route

INDEX: Final = "index.html"

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What is served, and as what. Not by the `mimetypes` module: it answers what the machine's /etc says."""

NOT_SERVED: Final = frozenset({"node_modules", "test", "tests"})
"""Folders beside the client that are none of a browser's business; and whatever starts with a dot."""


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is served."""

    content: bytes
    kind: str
    etag: str


def web_root() -> Path | None:
    """Where the web client is: inside of an installed `sidecars`, in a checkout beside it; None where it is missing."""
    sidecars = Path(__file__).parents[1]
    return next((folder for folder in (sidecars / "web", sidecars.parent / "web") if (folder / INDEX).is_file()), None)


def read_files(root: Path) -> dict[str, File]:
    """The files below `root` by URL path; `index.html` is the page of its folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file() or any(part in NOT_SERVED or part.startswith(".") for part in parts):
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            continue  # a link that leads out
        content = path.read_bytes()
        url = "/" + "/".join(parts).removesuffix(INDEX)
        found[url] = File(content, kind, blake2b(content, digest_size=12).hexdigest())
    return found


def blueprint(files: dict[str, File]) -> Blueprint:
    """A route for each file."""
    pages = Blueprint("web", __name__)
    for url in files:

        @route(pages, "GET", url, rule=OPEN)
        async def serve() -> Response:
            return _answer(files[request.path])

    return pages


def _answer(file: File) -> Response:
    answer = Response(file.content, content_type=file.kind)
    answer.set_etag(file.etag)
    answer.headers["Cache-Control"] = "no-cache"
    if request.if_none_match.contains(file.etag):
        answer.status_code = 304
        answer.set_data(b"")
        answer.headers.pop("Content-Length", None)
    return answer
