"""The register form asks about an address that looks mistyped."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

MISTYPED = {
    "ana@gmial.com": "ana@gmail.com",
    "Ana@gmail.con": "ana@gmail.com",
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
