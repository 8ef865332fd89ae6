"""Groups in real browsers: made, written in, changed, left."""

from playwright.sync_api import expect

from tests.browser.conftest import NewPerson, Person


def make_group(owner: Person, name: str, *members: str) -> None:
    """Make a group of these people and open it."""
    page = owner.page
    page.get_by_role("button", name="New group").click()
    page.get_by_label("Name of the group").fill(name)
    for member in members:
        page.get_by_label("Name or e-mail address").fill(member)
        page.locator(".people").get_by_role("button", name=member).click()
        expect(page.locator(".chosen")).to_contain_text(member)
    page.get_by_role("button", name="Create group").click()
    expect(page.locator(".conversation-header h2")).to_have_text(name)


def test_a_group_of_three_writes_and_knows_who_said_what(person: NewPerson) -> None:
    cleo, dave, emma = person("Cleo"), person("Dave"), person("Emma")
    make_group(cleo, "Crew", "Dave", "Emma")
    expect(cleo.page.locator(".presence-line")).to_have_text("3 members")
    cleo.write("All hands!")
    dave.choose("Crew")
    dave.sees("All hands!")
    expect(dave.message("All hands!").locator(".sender")).to_have_text("Cleo")
    dave.write("Aye")
    emma.choose("Crew")
    emma.sees("All hands!", "Aye")
    expect(cleo.message("All hands!")).to_have_attribute("data-tick", "read")
    emma.page.get_by_role("textbox", name="Message").press_sequentially("He")
    expect(cleo.page.locator(".presence-line")).to_have_text("Emma is typing…")
    cleo.screenshot("group")


def test_members_are_added_and_removed_and_leave(person: NewPerson) -> None:
    fred, gina, hugo = person("Fred"), person("Gina"), person("Hugo")
    make_group(fred, "Sailing", "Gina")
    gina.choose("Sailing")
    expect(gina.page.locator(".line-system")).to_have_text("Fred created the group “Sailing” with you")
    gina.write("only for us")

    page = fred.page
    page.get_by_role("button", name="Members").click()
    page.get_by_role("button", name="Add people").click()
    page.get_by_label("Name or e-mail address").fill("Hugo")
    page.locator("dialog").get_by_role("button", name="Hugo").click()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("dialog .person")).to_have_count(3)
    fred.screenshot("members")
    hugo.choose("Sailing")
    expect(hugo.page.locator(".line-system")).to_have_text("Fred added you")
    hugo.sees()

    page.get_by_role("button", name="Remove Gina").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("dialog .person")).to_have_count(2)
    expect(gina.page.locator(".composer-note")).to_have_text("You are no longer a member of this group.")
    expect(gina.page.locator(".line-system").last).to_have_text("Fred removed you")
    page.get_by_role("button", name="Close").click()
    fred.write("without Gina")
    hugo.sees("without Gina")
    gina.sees("only for us")

    hugo.page.get_by_role("button", name="Members").click()
    hugo.page.get_by_role("button", name="Leave group").click()
    hugo.page.get_by_role("button", name="Leave", exact=True).click()
    expect(fred.page.locator(".line-system").last).to_have_text("Hugo left")
    expect(hugo.page.locator(".composer-note")).to_be_visible()
