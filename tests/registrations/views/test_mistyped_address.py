"""Where people type their address, we ask about one that looks mistyped."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

MISTYPED = {
    "ana@gmial.com": "ana@gmail.com",
    "Ana@gmail.con": "ana@gmail.com",
    "ana@gmail.cmo": "ana@gmail.com",
    # Real countries, but no one has an address there.
    "ana@gmail.co": "ana@gmail.com",
    "ana@hotmail.cm": "ana@hotmail.com",
    "ana@outlook.om": "ana@outlook.com",
    "ana@gmal.com": "ana@gmail.com",
    "ana@yaho.com": "ana@yahoo.com",
    "ana@hotmial.com": "ana@hotmail.com",
    "ana@outlok.com": "ana@outlook.com",
    "ana@iclod.com": "ana@icloud.com",
    "ana@sbcgloble.net": "ana@sbcglobal.net",
}
RIGHT = [
    *("ana@gmail.com", "ana@mail.com", "ana@ymail.com", "ana@email.com", "ana@example.org"),
    *("ana@yahoo.com.mx", "ana@hotmail.es", "ana@", "@", "ana", "", "a@b@c", "ana@x"),
    *("ana@hotmail.cl", "ana@hotmail.ca", "ana@outlook.cl", "ana@yahoo.ca", "ana@hotmail.de"),
    *("ana@outlook.fr", "ana@hotmail.co.uk", "ana@outlook.com.br", "ana@live.cl", "ana@icloud.cl"),
    *("ana@protonmail.ch", "ana@ymail.ca", "ana@yahoo.co.jp"),
]


def test_register_form_asks_about_a_mistyped_address(browser, live_server, week):
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.goto(f"{live_server.url}/{week.slug}/register/")
    field, suggestion = page.locator("#id_email"), page.locator("#suggestion button")
    for typed, meant in MISTYPED.items():
        field.fill(typed)
        field.blur()
        expect(suggestion).to_have_text(meant)
        # Nothing changes by itself.
        assert field.input_value() == typed
    suggestion.click()
    assert field.input_value() == "ana@sbcglobal.net"
    expect(suggestion).to_be_hidden()
    for address in RIGHT:
        field.fill(address)
        field.blur()
        expect(suggestion).to_be_hidden()
    page.close()


def test_correction_form_asks_too(new_page, week):
    page = new_page()
    page.goto(f"/{week.slug}/register/")
    page.get_by_label("Name", exact=True).fill("Ana A")
    page.locator("#id_email").fill("ana@example.org")
    page.get_by_role("button", name="Register").click()
    suggestion = page.locator("#suggestion button")
    expect(suggestion).to_be_hidden()
    page.locator("#id_email").fill("ana@gmial.com")
    page.locator("#id_email").blur()
    suggestion.click()
    expect(page.locator("#id_email")).to_have_value("ana@gmail.com")
    expect(suggestion).to_be_hidden()


def test_organizers_done_page_has_no_correction_form_and_no_error(
    new_page, week, admin_client, live_server
):
    page = new_page()
    cookie = {"name": "sessionid", "value": admin_client.cookies["sessionid"].value}
    page.context.add_cookies([{**cookie, "url": live_server.url}])
    page.goto(f"/{week.slug}/register/")
    page.get_by_label("Name", exact=True).fill("Ana A")
    page.locator("#id_email").fill("ana@example.org")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.locator("#id_email")).to_have_count(0)
