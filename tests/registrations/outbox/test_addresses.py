"""The address on the envelope and in the headers is the one that addresses are compared in."""

import datetime as dt

import pytest
from django.core.mail.message import sanitize_address

from events.text.addresses import ascii_address
from registrations.mail import stored_messages, writer
from registrations.outbox import delivery
from registrations.outbox.prebuilt import as_header
from tests.people import sign_up

pytestmark = pytest.mark.django_db

EMAIL, ASCII = "maria@faß.de", "maria@xn--fa-hia.de"


@pytest.mark.parametrize("domain", ["evil℀.com", "💩.la", "exam\u200dple.org", "a..ü"])
def test_domain_without_an_ascii_form_is_an_error(domain):
    with pytest.raises(UnicodeError):
        ascii_address(f"maria@{domain}")


def test_ascii_address_is_delivered_to_as_it_is():
    assert ascii_address("Maria.X@Example.ORG") == "Maria.X@Example.ORG"


@pytest.mark.parametrize(
    "address",
    [
        *("alice@example.org", "a.b+c_d-e@mail.example.org", "a..b@example.org", "a.@example.org"),
        *("o'brien@example.org", '"a b"@example.org', "josé@example.org", "a@faß.de"),
        *("Alice Adams <a@example.org>", "José <a@example.org>", "a@example.org, b@example.org"),
        *("a@example.org\n", "a@b@example.org", "alice", "a@[127.0.0.1]", "ａ@example.org"),
    ],
)
def test_address_is_written_as_django_does(address):
    def outcome(write):
        try:
            return write()
        except ValueError:
            return ValueError

    written = outcome(lambda: as_header(address))
    assert written == outcome(lambda: sanitize_address(address, "utf-8"))


def test_smtp_delivers_to_the_ascii_form(week, smtp):
    type(week).objects.update(contact_email="us@faß.de")
    week.refresh_from_db()
    sign_up(week, email=EMAIL)
    delivery.deliver_due(writer.writer_for)
    (received,) = smtp.messages
    assert received.recipients == [ASCII]
    assert received.message["To"] == ASCII
    assert received.message["Reply-To"] == "us@xn--fa-hia.de"


def test_sign_in_code_is_delivered_to_the_ascii_form(smtp):
    stored_messages.queue(
        recipient=EMAIL, subject="Code", text="code", valid_for=dt.timedelta(hours=1)
    )
    delivery.deliver_due(writer.writer_for)
    (received,) = smtp.messages
    assert received.recipients == [ASCII]
