"""People with real browsers: Debian's Chromium, driven by Playwright, against a real server process.

Whatever a page says on its console as an error, every uncaught exception and every violation of the content security policy
fails the test at its end; the lines that a lost network must leave there are the only exception.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.harness.server import Server, running_server

SCREENSHOTS = Path(__file__).parent.parent.parent / ".cache" / "screenshots"
WAIT_MS = 10_000
PASSWORD = "correct horse battery"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Chromium's own words about a request that found no network; nobody can keep it from saying them.
NO_NETWORK = re.compile(
    r"ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_CONNECTION_REFUSED|WebSocket connection to .* failed"
)

expect.set_options(timeout=WAIT_MS)


class Person:
    """Somebody with a browser of their own (a context: own storage, own network)."""

    def __init__(self, context: BrowserContext, url: str, name: str, *, touch: bool = False) -> None:
        self.context = context
        self.url = url
        self.name = name
        self.touch = touch
        self.email = re.sub(r"[^a-z]", "", name.lower()) + "@example.org"
        self.complaints: list[str] = []
        self.expected_complaint: str | None = None
        context.set_default_timeout(WAIT_MS)
        self.page: Page = self.open()

    def open(self) -> Page:
        """A new page of this browser, on Trimaran."""
        page = self.context.new_page()
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self._said("error", f"uncaught: {error}"))
        page.goto(self.url)
        self.page = page
        return page

    def register(self) -> None:
        """Make an account and be online."""
        page = self.page
        page.get_by_role("button", name="Create an account").click()
        page.get_by_label("Your name").fill(self.name)
        page.get_by_label("E-mail").fill(self.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account", exact=True).click()
        expect(page.get_by_role("heading", name=self.name, exact=True)).to_be_visible()
        self.is_online()

    def is_online(self) -> None:
        """The banner has nothing to say."""
        expect(self.page.locator(".shell")).to_be_visible()
        expect(self.page.locator(".banner")).to_be_hidden()

    def find(self, name: str, title: str | None = None) -> None:
        """Search a person and open the conversation with them; its title is their name, except with oneself."""
        self.page.get_by_role("button", name="New chat").click()
        self.page.get_by_label("Name or e-mail address").fill(name)
        self.page.locator("dialog").get_by_role("button", name=name).click()
        expect(self.page.locator(".conversation-header h2")).to_have_text(title or name)

    def choose(self, title: str) -> None:
        """Open a conversation from the list."""
        self.row(title).click()
        expect(self.page.locator(".conversation-header h2")).to_have_text(title)

    def row(self, title: str) -> Locator:
        """A conversation in the list."""
        return self.page.locator(".row").filter(has=self.page.locator(".row-title", has_text=title))

    def write(self, text: str) -> None:
        """Send a message in the open conversation."""
        box = self.page.get_by_role("textbox", name="Message")
        box.fill(text)
        if self.touch:  # there Enter is a new line
            self.page.get_by_role("button", name="Send").click()
        else:
            box.press("Enter")

    def message(self, text: str) -> Locator:
        """The message that says exactly this."""
        says = self.page.locator(".text").filter(has_text=re.compile(f"^{re.escape(text)}$"))
        return self.page.locator(".message").filter(has=says)

    def sees(self, *texts: str) -> None:
        """The open conversation shows exactly these messages, in this order, each once."""
        expect(self.page.locator(".message .text")).to_have_text(list(texts))

    def act(self, text: str, action: str) -> None:
        """Choose something from a message's menu."""
        message = self.message(text)
        message.hover()
        message.get_by_role("button", name="Actions").click()
        self.page.get_by_role("menuitem", name=action).click()

    def lose_network(self) -> None:
        """No network, and the page has noticed."""
        self.context.set_offline(True)
        expect(self.page.locator(".banner")).to_contain_text("Offline")

    def find_network(self) -> None:
        """The network is back, and so is the connection."""
        self.context.set_offline(False)
        self.is_online()

    def screenshot(self, name: str) -> None:
        """A picture for people, in .cache/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    def _said(self, kind: str, text: str) -> None:
        if kind != "error" or NO_NETWORK.search(text):
            return
        if self.expected_complaint is None or self.expected_complaint not in text:
            self.complaints.append(text)


Scheme = Literal["light", "dark"]
NewPerson = Callable[..., Person]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of this folder; people have different names."""
    env = {
        "TRIMARAN_PASSWORD_COST": "test",
        "TRIMARAN_LIMIT_REGISTRATIONS_PER_HOUR": "0",
        "TRIMARAN_LIMIT_LOGINS_PER_HOUR": "0",
    }
    with running_server(tmp_path_factory.mktemp("server"), env) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all people."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: `make test` installs it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[NewPerson]:
    """Makes people who are registered and online; at the end none of their pages may have complained."""
    people: list[Person] = []

    def make(
        name: str, *, width: int = 1200, height: int = 800, scheme: Scheme = "light", touch: bool = False
    ) -> Person:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch, locale="en-GB"
        )
        somebody = Person(context, server.url, name, touch=touch)
        people.append(somebody)
        somebody.register()
        return somebody

    yield make
    for somebody in people:
        somebody.context.close()
    assert {somebody.name: somebody.complaints for somebody in people} == {somebody.name: [] for somebody in people}
