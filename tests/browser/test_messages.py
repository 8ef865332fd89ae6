"""What can be done with messages, and what they can do to a page: nothing."""

from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, NewPerson

NASTY = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "javascript:alert(1)",
    "[click](javascript:alert(1)) **bold** &lt;b&gt;",
    "\u202eright to left \u0645\u0631\u062d\u0628\u0627",
)


def test_whatever_is_written_is_shown_as_text(person: NewPerson) -> None:
    ivan, jane = person("Ivan"), person("Jane <b>O")
    ivan.find("Jane <b>O")
    for text in NASTY:
        ivan.write(text)
    jane.choose("Ivan")
    jane.sees(*NASTY)
    ivan.sees(*NASTY)
    assert jane.page.locator(".messages img, .messages script, .messages a, .messages b").count() == 0
    assert jane.page.title() == "Trimaran"
    assert ivan.page.locator(".row b").count() == 0


def test_a_message_is_edited_reacted_to_answered_and_deleted(person: NewPerson) -> None:
    kate, liam = person("Kate"), person("Liam")
    kate.find("Liam")
    kate.write("Dinner at sevn?")
    liam.choose("Kate")

    kate.act("Dinner at sevn?", "Edit")
    kate.write("Dinner at seven?")
    liam.sees("Dinner at seven?")
    expect(liam.message("Dinner at seven?").locator(".meta")).to_contain_text("edited")

    liam.act("Dinner at seven?", "React 👍")
    chip = kate.page.locator(".reaction")
    expect(chip).to_have_text("👍")
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    expect(liam.page.locator(".reaction")).to_have_text("👍2")
    liam.page.locator(".reaction").click()
    expect(kate.page.locator(".reaction")).to_have_text("👍")

    liam.act("Dinner at seven?", "Reply")
    liam.write("Gladly")
    expect(kate.message("Gladly").locator(".quote")).to_contain_text("Dinner at seven?")
    kate.message("Gladly").hover()
    kate.message("Gladly").get_by_role("button", name="Actions").click()
    expect(kate.page.get_by_role("menuitem", name="Delete")).to_have_count(0)
    kate.screenshot("menu")
    kate.page.keyboard.press("Escape")

    kate.act("Dinner at seven?", "Delete")
    kate.page.get_by_role("button", name="Delete", exact=True).click()
    liam.sees("Message deleted", "Gladly")
    expect(liam.message("Gladly").locator(".quote")).to_contain_text("Message deleted")


def test_a_second_tab_takes_over_and_the_first_says_so(person: NewPerson) -> None:
    mona = person("Mona")
    first = mona.page
    mona.open()
    mona.is_online()
    expect(first.locator(".banner")).to_contain_text("open in another tab")
    first.get_by_role("button", name="Use it here").click()
    expect(first.locator(".banner")).to_be_hidden()
    expect(mona.page.locator(".banner")).to_contain_text("open in another tab")


def test_logging_out_and_in_again_shows_the_same_conversations(person: NewPerson) -> None:
    nora, otto = person("Nora"), person("Otto")
    nora.find("Otto")
    nora.write("remember")
    page = nora.page
    page.get_by_role("button", name="Log out").click()
    page.locator("dialog").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Welcome aboard")).to_be_visible()
    expect(otto.page.locator(".dot")).to_have_count(0)

    nora.expected_complaint = "401"  # Chromium's own line about the wrong password
    page.get_by_label("E-mail").fill(nora.email)
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
    nora.screenshot("login")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    nora.is_online()
    expect(page.locator(".conversation-header h2")).to_have_text("Otto")
    nora.sees("remember")


def test_it_looks_right_on_a_phone_and_in_the_dark(person: NewPerson) -> None:
    pia = person("Pia", width=390, height=844, touch=True)
    quentin = person("Quentin", scheme="dark")
    pia.find("Quentin")
    pia.write("Hello from the harbour")
    quentin.choose("Pia")
    for text in (
        "Hello! Is the wind good?",
        "I could be there at three, with the new sails and something to eat for everyone who is coming along.",
    ):
        quentin.write(text)
    expect(pia.page.locator(".message")).to_have_count(3)
    quentin.act("Hello from the harbour", "React ❤️")
    expect(pia.page.locator(".reaction")).to_be_visible()
    # The composer is on the screen, and nothing is wider than it.
    expect(pia.page.get_by_role("textbox", name="Message")).to_be_in_viewport()
    assert pia.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pia.screenshot("phone-conversation")
    quentin.screenshot("dark")
    pia.page.get_by_role("button", name="Back to the list").click()
    expect(pia.row("Quentin")).to_be_visible()
    expect(pia.page.locator(".conversation-header")).to_be_hidden()
    pia.screenshot("phone-list")
