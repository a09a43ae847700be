"""Signing in with a code, step by step, and reading what was emailed and shown."""

import datetime as dt
import html
import re
from typing import Any

from django.test import Client

from registrations.models import OutgoingMail

CODE_PAGE = "/accounts/login/code/"
CONFIRM_PAGE = "/accounts/login/code/confirm/"
PASSWORD_PAGE = "/accounts/login/"
WEEKS = "/me/"
MAILS = "/admin/registrations/outgoingmail/"
CODE = re.compile(r"\b[A-Z]{4}-[A-Z]{4}\b")
MINUTE = dt.timedelta(minutes=1)


def request_code(client: Client, email: str = "alice@example.org") -> Any:
    return client.post(CODE_PAGE, {"email": email}, follow=True)


def stored() -> Any:
    """Emails whose message is stored, the newest first."""
    return OutgoingMail.objects.filter(message__isnull=False).order_by("-pk")


def newest_message() -> dict[str, Any]:
    return stored()[0].message


def newest_code() -> str:
    found = CODE.search(newest_message()["text"])
    assert found
    return found[0]


def enter_code(client: Client, code: str, page: str = CONFIRM_PAGE) -> Any:
    return client.post(page, {"code": code}, follow=True)


def sign_in(client: Client, email: str = "alice@example.org") -> Any:
    request_code(client, email)
    return enter_code(client, newest_code())


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def main_text(response: Any) -> str:
    """The text of the page's <main> element."""
    main = response.content.decode().partition("<main")[2].partition("</main>")[0]
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))
