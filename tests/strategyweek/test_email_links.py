"""Every link in every email starts with SITE_URL, whatever the Host header of the request is."""

import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.template import loader
from django.test import Client
from django.urls import reverse

from events.links import absolute
from registrations.mail import previews
from registrations.mail_kinds import MailKind
from registrations.models import OutgoingMail
from strategyweek.accounts.adapters import AccountAdapter

pytestmark = pytest.mark.django_db

SITE = configured.SITE_URL
# Where else an email may lead to, apart from what an organizer wrote.
ELSEWHERE = ("https://example.org/", "https://zoom.example/", "http://www.w3.org/")
URL = re.compile(r"""\w+://[\w.:-]+[^\s"'<>]*""")
EVIL = {"host": "localhost:1234", "x-forwarded-host": "evil.example:99"}
ACCOUNT_EMAILS = sorted(
    path.name.removesuffix("_message.txt")
    for path in (configured.BASE_DIR / "templates/account/email").glob("*_message.txt")
    if path.name != "base_message.txt"
)


def links(*texts: str) -> list[str]:
    found = [url for text in texts for url in URL.findall(text)]
    return [url for url in found if not url.startswith(ELSEWHERE)]


@pytest.mark.parametrize("kind", [kind for kind in MailKind if not kind.spec.is_stored])
def test_every_kind_of_email_links_only_to_the_site(week, kind):
    sent = previews.sample(kind, week).message().as_bytes()
    message = message_from_bytes(sent, policy=policy.default)
    bodies = [
        part.get_content() for part in message.walk() if part.get_content_maintype() == "text"
    ]
    headers = [str(value) for value in message.values()]
    assert len(bodies) >= 2
    found = links(*bodies, *headers)
    assert found
    assert [url for url in found if not url.startswith(f"{SITE}/")] == []


def stored_texts() -> list[str]:
    stored = OutgoingMail.objects.filter(message__isnull=False).values_list("message", flat=True)
    return [message["text"] for message in stored]


@pytest.mark.parametrize("name", ACCOUNT_EMAILS)
def test_every_account_email_links_only_to_the_site(rf, name):
    """As allauth sends them: with the links that it makes from the request."""
    from allauth.core import context

    user = User.objects.create_user("organizer", "o@example.org", "correct horse")
    request = rf.get("/", headers=EVIL)
    with context.request_context(request):
        adapter = AccountAdapter(request)
        adapter.send_mail(
            f"account/email/{name}",
            user.email,
            {
                "user": user,
                "code": "ABCD-EFGH",
                "request": request,
                "password_reset_url": adapter.get_reset_password_from_key_url("1-key"),
                "reset_url": absolute(reverse("account_reset_password")),
                "sign_in_url": f"{SITE}/accounts/login/code/",
            },
        )
    (text,) = stored_texts()
    assert links(text)
    assert [url for url in links(text) if url.removeprefix(SITE)[:1] not in {"", "/"}] == []


def test_account_emails_are_the_ones_that_have_templates():
    """An email of allauth without a template of ours would have its own links and wording."""
    assert "password_reset_key" in ACCOUNT_EMAILS
    for name in ACCOUNT_EMAILS:
        template: Any = loader.get_template(f"account/email/{name}_subject.txt")
        assert template.origin.name.startswith(str(configured.BASE_DIR / "templates"))


def test_host_header_does_not_change_the_links_of_account_emails(settings, week):
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.SECURE_SSL_REDIRECT = False
    User.objects.create_superuser("organizer", "o@example.org", "correct horse")
    client = Client(headers=EVIL)
    client.post("/accounts/password/reset/", {"email": "o@example.org"})
    client.post("/accounts/login/code/", {"email": "alice@example.org"})
    texts = stored_texts()
    assert len(texts) == 2
    found = links(*texts)
    assert any("/accounts/password/reset/key/" in url for url in found)
    assert [url for url in found if url.removeprefix(SITE)[:1] not in {"", "/"}] == []
    page = client.get(f"/{week.slug}/").content.decode()
    assert "localhost:1234" not in page
