"""The command `trimaran-client`: sign in, send, listen, and read from a terminal.

What it remembers between calls - server, refresh token, unsent messages - lies in a folder of its user's alone, one file set
per profile. Prints lines of text, or with `--json` one JSON object a line.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec

from trimaran_client import limits
from trimaran_client.account import Account, SignedIn
from trimaran_client.chat import Chat, open_chat
from trimaran_client.errors import ChatError
from trimaran_client.frames import Message, Page


class Profile(msgspec.Struct, kw_only=True):
    """Who the user of the terminal is."""

    url: str
    user: str
    device: str
    refresh_token: str


class Folder:
    """Where a profile is kept."""

    def __init__(self, name: str) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self._folder = Path(state) / "trimaran-client"
        self._file = self._folder / f"{name}.json"
        self.outbox = self._folder / f"{name}.outbox"

    def load(self) -> Profile:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Profile)
        except FileNotFoundError:
            raise SystemExit("Not signed in: use `trimaran-client register` or `login` first.") from None
        except msgspec.DecodeError as error:
            raise SystemExit(f"{self._file} is not a profile: {error}") from None

    def save(self, profile: Profile) -> None:
        """Replaces the profile at once: a refresh token counts once, so half a file would sign the user out."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(profile))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)

    def account(self, url: str) -> Account:
        """An account whose tokens are kept here."""

        def keep(tokens: SignedIn) -> None:
            self.save(Profile(url=url, user=tokens.user.id, device=tokens.device, refresh_token=tokens.refresh_token))

        return Account(url, on_tokens=keep)


class Printer:
    """One line for each entry."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def entry(self, message: Message) -> None:
        if self._as_json:
            self.record(message)
            return
        said = message.text if message.kind in ("text", "edit") else msgspec.json.encode(message.body).decode()
        marks = " (deleted)" if message.deleted else " (edited)" if message.edited else ""
        ref = f" of {message.ref}" if message.ref is not None else ""
        # Nothing that others wrote may move the cursor or change the colours of a terminal.
        clean = "".join(letter if letter.isprintable() else " " for letter in said)
        print(f"{message.conversation} {message.seq} {message.sender or '-'} {message.kind}{ref}{marks}: {clean}")

    def record(self, record: Any) -> None:
        print(msgspec.json.encode(record).decode(), flush=True)


async def sign_in(arguments: argparse.Namespace) -> None:
    """`register` and `login`."""
    password = sys.stdin.readline().rstrip("\n") if arguments.password_stdin else getpass.getpass()
    async with Folder(arguments.profile).account(arguments.url) as account:
        if arguments.command == "register":
            signed_in = await account.register(arguments.email, arguments.name, password, device_name="terminal")
        else:
            signed_in = await account.login(arguments.email, password, device_name="terminal")
        print(signed_in.user.id)


async def with_chat(arguments: argparse.Namespace) -> None:
    """`send`, `listen` and `history`."""
    folder = Folder(arguments.profile)
    profile = folder.load()
    async with folder.account(profile.url) as account:
        account.resume(profile.refresh_token)
        to = getattr(arguments, "to", None)
        if to is not None and "@" in to:
            found = await account.search_users(to)
            if len(found) != 1:
                raise SystemExit(f"{to}: no such user")
            arguments.to = found[0].id
        # Only one who listens takes what is new: the others must not have it replayed and thrown away.
        listens = arguments.command == "listen"
        async with open_chat(
            profile.url,
            account=account,
            outbox=folder.outbox,
            auto_mark=listens,
            replay=None if listens else 0,
            events_max=limits.EVENTS_MAX if listens else 1,
        ) as chat:
            await arguments.run(arguments, chat, Printer(arguments.json))


async def send(arguments: argparse.Namespace, chat: Chat, printer: Printer) -> None:
    ack = await chat.send(arguments.to, " ".join(arguments.text), ref=arguments.ref)
    if arguments.json:
        printer.record(ack)
    else:
        print(f"{ack.conversation} {ack.seq}")


async def listen(arguments: argparse.Namespace, chat: Chat, printer: Printer) -> None:
    async for event in chat.events():
        if isinstance(event, Message):
            printer.entry(event)
            sys.stdout.flush()


async def history(arguments: argparse.Namespace, chat: Chat, printer: Printer) -> None:
    await chat.wait_synced()
    page: Page = await chat.page(arguments.conversation, before=arguments.before, limit=arguments.limit)
    for message in page.messages:
        printer.entry(message)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="trimaran-client", description="A terminal client of Trimaran.")
    top.add_argument("--profile", default="default", help="which of several users (default: %(default)s)")
    top.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio", help="the event loop to run on")
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (("register", "make an account and sign in"), ("login", "sign in")):
        command = commands.add_parser(name, help=text)
        command.add_argument("email")
        if name == "register":
            command.add_argument("name")
        command.add_argument("--url", default=os.environ.get("TRIMARAN_URL", "http://localhost:8080"))
        command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        command.set_defaults(main=sign_in)
    command = commands.add_parser("send", help="send a text, and print where it stands once it is stored")
    command.add_argument("to", help="a conversation, a user's id, or an e-mail address")
    command.add_argument("text", nargs="+")
    command.add_argument("--ref", type=int, help="the seq that this replies to")
    command.set_defaults(main=with_chat, run=send)
    command = commands.add_parser("listen", help="print what comes, until interrupted")
    command.set_defaults(main=with_chat, run=listen)
    command = commands.add_parser("history", help="print the newest entries of a conversation")
    command.add_argument("conversation")
    command.add_argument("--before", type=int, help="only those with a lower seq")
    command.add_argument("--limit", type=int, default=50)
    command.set_defaults(main=with_chat, run=history)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        anyio.run(partial(arguments.main, arguments), backend=arguments.backend)
    except ChatError as error:
        print(f"trimaran-client: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseExceptionGroup as group:
        # On Trio an interrupt arrives inside the task group that it found at work.
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
