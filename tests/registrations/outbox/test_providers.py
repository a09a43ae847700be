"""Sending through a mail provider's own interface: a server on loopback stands in for Postmark."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from registrations.mail import writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Provider:
    """What it was asked to send, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status, self.answer = 200, {"ErrorCode": 0, "Message": "OK", "MessageID": "pm-1"}

    def refuse(self, status: int, code: int, words: str) -> None:
        self.status, self.answer = status, {"ErrorCode": code, "Message": words}

    def hang_up(self) -> None:
        """Take a mail and go away without a word."""
        self.status = 0


@pytest.fixture
def provider(settings) -> Iterator[Provider]:
    provider = Provider()

    class Postmark(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            provider.asked.append(asked)
            if not provider.status:
                return
            self.send_response(provider.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(provider.answer | {"To": asked["To"]}).encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Postmark) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
        settings.ANYMAIL = {
            "POSTMARK_SERVER_TOKEN": "t0ken",
            "POSTMARK_API_URL": f"http://127.0.0.1:{server.server_port}/",
            "REQUESTS_TIMEOUT": 2,
            "IGNORE_UNSUPPORTED_FEATURES": True,
        }
        yield provider
        server.shutdown()


@pytest.fixture
def mail(week) -> OutgoingMail:
    return sign_up(week, "Siobhán O'Brien").mails.get()


def delivered(mail: OutgoingMail) -> tuple[str, str, str]:
    delivery.deliver_due(writer.writer_for)
    mail.refresh_from_db()
    return mail.state, mail.provider_id, mail.last_error


def test_mail_is_handed_over_whole_with_our_number(mail, provider):
    assert delivered(mail) == ("sent", "pm-1", "")
    (asked,) = provider.asked
    assert asked["To"] == mail.registration.email
    assert asked["Metadata"] == {"mail": mail_queue.message_id(mail)}
    assert "Siobhán O'Brien" in asked["TextBody"]
    assert "Siobhán O&#x27;Brien" in asked["HtmlBody"]
    assert [each["Name"] for each in asked["Attachments"]] == ["strategy-week.ics"]
    headers = {each["Name"]: each["Value"] for each in asked["Headers"]}
    assert headers["Message-ID"] == mail_queue.message_id(mail)


def test_address_that_the_provider_knows_to_be_dead_fails(mail, provider):
    words = "You tried to send to recipient(s) that have been marked as inactive. Found inactive "
    provider.refuse(422, 406, f"{words}addresses: {mail.registration.email}. Inactive recipients")
    state, _provider_id, error = delivered(mail)
    assert state == "failed"
    assert "rejected" in error


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_trouble_with_the_provider_is_waited_out(mail, provider, status):
    provider.refuse(status, 10, "Not now")
    state, _provider_id, error = delivered(mail)
    assert state == "waiting"
    assert str(status) in error


def test_provider_that_is_away_is_waited_for(mail, provider, settings):
    settings.ANYMAIL["POSTMARK_API_URL"] = "http://127.0.0.1:1/"
    state, _provider_id, error = delivered(mail)
    assert state == "waiting"
    assert "t0ken" not in error
    assert tried_for_three_days(mail) == "waiting"


def tried_for_three_days(mail: OutgoingMail) -> str:
    """The state of a mail that was tried once more, after three days and many tries."""
    OutgoingMail.objects.update(
        created_at=mail.created_at - delivery.GIVE_UP_AFTER,
        due_at=mail.created_at,
        attempts=delivery.GIVE_UP_ATTEMPTS,
    )
    return delivered(mail)[0]


def test_message_that_the_provider_cannot_take_is_tried_for_three_days(mail, provider):
    provider.refuse(422, 300, "Invalid email request")
    assert delivered(mail)[0] == "waiting"
    assert tried_for_three_days(mail) == "failed"


@pytest.mark.parametrize(
    ("answer", "state"),
    [("200 unreadable", "failed"), ("500", "failed"), ("none", "failed"), ("429", "waiting")],
)
def test_mail_that_may_have_come_is_not_sent_for_ever(mail, provider, answer, state):
    if answer == "200 unreadable":
        provider.answer = {"Odd": "answer"}
    elif answer == "none":
        provider.hang_up()
    else:
        provider.refuse(int(answer), 10, "Not now")
    assert delivered(mail)[0] == "waiting"
    assert tried_for_three_days(mail) == state
    assert len(provider.asked) == 2
