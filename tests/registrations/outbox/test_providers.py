"""Sending through an email provider's API, with a fake Postmark on loopback."""

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
    """The fake provider: the requests it got, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status, self.answer = 200, {"ErrorCode": 0, "Message": "OK", "MessageID": "pm-1"}

    def reject(self, status: int, code: int, message: str) -> None:
        self.status, self.answer = status, {"ErrorCode": code, "Message": message}

    def hang_up(self) -> None:
        """Accept a request and close the connection without an answer."""
        self.status = 0


@pytest.fixture
def provider(settings) -> Iterator[Provider]:
    provider = Provider()

    class Postmark(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            provider.requests.append(request)
            if not provider.status:
                return
            self.send_response(provider.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(provider.answer | {"To": request["To"]}).encode())

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


def test_provider_gets_the_whole_email_and_its_message_id(mail, provider):
    assert delivered(mail) == ("sent", "pm-1", "")
    (request,) = provider.requests
    assert request["To"] == mail.registration.email
    assert request["Metadata"] == {"mail": mail_queue.message_id(mail)}
    assert "Siobhán O'Brien" in request["TextBody"]
    assert "Siobhán O&#x27;Brien" in request["HtmlBody"]
    assert [each["Name"] for each in request["Attachments"]] == ["strategy-week.ics"]
    headers = {each["Name"]: each["Value"] for each in request["Headers"]}
    assert headers["Message-ID"] == mail_queue.message_id(mail)


def test_address_that_the_provider_knows_to_be_dead_fails(mail, provider):
    message = "You tried to send to recipient(s) that have been marked as inactive. Found inactive "
    provider.reject(422, 406, f"{message}addresses: {mail.registration.email}. Inactive recipients")
    state, _provider_id, error = delivered(mail)
    assert state == "failed"
    assert "rejected" in error


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_email_is_retried_when_the_provider_rejects_the_sender_or_fails(mail, provider, status):
    provider.reject(status, 10, "Not now")
    state, _provider_id, error = delivered(mail)
    assert state == "waiting"
    assert str(status) in error


def test_email_never_fails_because_the_provider_is_away(mail, provider, settings):
    settings.ANYMAIL["POSTMARK_API_URL"] = "http://127.0.0.1:1/"
    state, _provider_id, error = delivered(mail)
    assert state == "waiting"
    assert "t0ken" not in error
    assert tried_for_three_days(mail) == "waiting"


def tried_for_three_days(mail: OutgoingMail) -> str:
    """The email's state after one more attempt, after three days and many attempts."""
    OutgoingMail.objects.update(
        created_at=mail.created_at - delivery.GIVE_UP_AFTER,
        due_at=mail.created_at,
        attempts=delivery.GIVE_UP_ATTEMPTS,
    )
    return delivered(mail)[0]


def test_message_that_the_provider_cannot_accept_fails_after_three_days(mail, provider):
    provider.reject(422, 300, "Invalid email request")
    assert delivered(mail)[0] == "waiting"
    assert tried_for_three_days(mail) == "failed"


@pytest.mark.parametrize(
    ("answer", "state"),
    [("200 unreadable", "failed"), ("500", "failed"), ("none", "failed"), ("429", "waiting")],
)
def test_email_that_may_have_arrived_fails_after_three_days(mail, provider, answer, state):
    if answer == "200 unreadable":
        provider.answer = {"Odd": "answer"}
    elif answer == "none":
        provider.hang_up()
    else:
        provider.reject(int(answer), 10, "Not now")
    assert delivered(mail)[0] == "waiting"
    assert tried_for_three_days(mail) == state
    assert len(provider.requests) == 2
