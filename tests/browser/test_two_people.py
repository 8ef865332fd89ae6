"""Two people chat in real browsers, lose their network, come back, and find everything once and in order."""

from contextlib import suppress

from playwright.sync_api import expect

from tests.browser.conftest import NewPerson


def test_two_people_find_each_other_and_chat_with_ticks_and_typing(person: NewPerson) -> None:
    ann, bob = person("Ann"), person("Bob")
    ann.find("Bob")
    ann.write("Hello Bob")
    bob.choose("Ann")
    bob.sees("Hello Bob")
    expect(ann.message("Hello Bob")).to_have_attribute("data-tick", "read")
    expect(ann.page.locator(".presence-line")).to_have_text("online")

    bob.page.get_by_role("textbox", name="Message").press_sequentially("Hi")
    expect(ann.page.locator(".presence-line")).to_have_text("typing…")
    bob.write("Hi Ann")
    ann.sees("Hello Bob", "Hi Ann")
    expect(ann.page.locator(".presence-line")).to_have_text("online")
    expect(bob.message("Hi Ann")).to_have_attribute("data-tick", "read")
    ann.screenshot("two-people")


def test_a_message_is_delivered_before_it_is_read(person: NewPerson) -> None:
    ann, bob = person("Anouk"), person("Bodo")
    ann.find("Bodo")
    ann.write("Look here")
    expect(bob.row("Anouk").locator(".row-unread")).to_have_text("1")
    expect(bob.page).to_have_title("(1) Trimaran")
    expect(ann.message("Look here")).to_have_attribute("data-tick", "delivered")
    bob.choose("Anouk")
    expect(ann.message("Look here")).to_have_attribute("data-tick", "read")
    expect(bob.row("Anouk").locator(".row-unread")).to_be_hidden()


def test_one_goes_offline_and_finds_every_message_once_and_in_order(person: NewPerson) -> None:
    ann, bob = person("Alma"), person("Boris")
    ann.find("Boris")
    ann.write("before")
    bob.choose("Alma")
    bob.sees("before")

    bob.lose_network()
    bob.screenshot("offline")
    for text in ("one", "two", "three"):
        ann.write(text)
    expect(ann.message("three")).to_have_attribute("data-tick", "sent")
    bob.write("written offline")
    bob.write("and this")
    expect(bob.message("and this")).to_have_attribute("data-tick", "waiting")

    bob.find_network()
    everything = ("before", "one", "two", "three", "written offline", "and this")
    bob.sees(*everything)
    ann.sees(*everything)
    expect(bob.message("and this")).to_have_attribute("data-tick", "read")
    expect(ann.message("three")).to_have_attribute("data-tick", "read")


def test_what_is_written_offline_survives_a_closed_page(person: NewPerson) -> None:
    ann, bob = person("Anton"), person("Berta")
    ann.find("Berta")
    ann.write("first")
    bob.choose("Anton")
    bob.lose_network()
    bob.write("unsent")
    bob.page.close()
    bob.context.set_offline(False)
    bob.open()
    bob.choose("Anton")
    bob.sees("first", "unsent")
    ann.sees("first", "unsent")


def test_a_closed_page_opened_again_shows_everything(person: NewPerson) -> None:
    ann, bob = person("Agnes"), person("Bruno")
    ann.find("Bruno")
    ann.write("one")
    bob.choose("Agnes")
    expect(ann.message("one")).to_have_attribute("data-tick", "read")
    bob.page.close()
    ann.write("two")
    bob.open()
    bob.choose("Agnes")
    bob.sees("one", "two")


def test_long_histories_are_read_backwards_without_a_jump(person: NewPerson) -> None:
    ann = person("Alba")
    ann.find("Alba", title="Notes to myself")
    for number in range(90):
        ann.write(f"line {number}")
    expect(ann.page.locator('[data-tick="waiting"]')).to_have_count(0)
    ann.page.close()
    ann.open()
    ann.choose("Notes to myself")
    expect(ann.message("line 89")).to_be_in_viewport()
    assert ann.page.locator(".message").count() < 90
    ann.page.get_by_role("region", name="Messages").focus()
    for _ in range(8):  # each time what is above is loaded; on a busy machine that takes more than one look
        ann.page.keyboard.press("Home")
        with suppress(AssertionError):
            expect(ann.message("line 0")).to_be_visible(timeout=2_000)
            break
    expect(ann.message("line 0")).to_be_visible()
    assert ann.page.locator(".message .text").all_text_contents() == [f"line {number}" for number in range(90)]
