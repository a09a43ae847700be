"""The page “Set up”: what it says, and pressing its buttons."""

import html
import re

from tests.admin_pages import messages_of

URL = "/admin/events/sitesettings/"
SERVER = {"host": "smtp.example.org", "port": "587", "security": "tls"}
ZOOM = {"account_id": "account", "client_id": "client", "client_secret": "z00m-secret"}


def page_of(client) -> str:
    answer = client.get(URL)
    assert answer.status_code == 200
    return answer.content.decode()


def steps_of(page: str) -> dict[str, str]:
    """By step, its text without tags, on one line."""
    found = re.findall(r'<section class="panel[^>]*id="step-(\w+)"(.*?)</section>', page, re.DOTALL)
    return {
        name: " ".join(html.unescape(re.sub(r"^[^>]*>|<[^>]+>", " ", text)).split())
        for name, text in found
    }


def done(page: str) -> list[str]:
    badge = re.compile(r"^\d\. [^.]*? Done ")
    return [name for name, text in steps_of(page).items() if badge.match(text)]


def press(client, do: str, **fields: str) -> str:
    """The page after pressing a button."""
    answer = client.post(URL, {"do": do, **fields}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def said(client, do: str, **fields: str) -> list[tuple[str, str]]:
    return messages_of(press(client, do, **fields))


def errors_of(page: str) -> list[str]:
    lists = re.findall(r'<ul class="errorlist"[^>]*>(.*?)</ul>', page, re.DOTALL)
    return [html.unescape(text) for each in lists for text in re.findall(r"<li>(.*?)</li>", each)]
