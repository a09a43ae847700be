"""The English that participants read is at the level of seventh grade or below.

Sentences of pages and emails are measured with Flesch-Kincaid, which goes by the length of
sentences and words. It can't tell whether a text is good. But it notices when one gets long-winded.
"""

import contextlib
import html
import re

import pytest
import textstat
from django.urls import reverse

from registrations import signup
from registrations.mail import kinds, previews
from registrations.mail.unsubscribe import unsubscribe_url
from tests.people import sign_up

pytestmark = pytest.mark.once

HIGHEST_GRADE = 7
INLINE = re.compile(r"</?(?:a|abbr|b|bdi|code|em|i|small|span|strong|time)\b[^>]*>")
# Legal English, of the kind that a coalition's lawyer would send.
HARD_TEXT = """
Registration constitutes acknowledgment that participation is contingent upon authorization by the
organizing committee. Notwithstanding the foregoing, individuals whose applications are undergoing
consideration will be notified electronically regarding availability.
"""


def prose(page: str) -> list[str]:
    """A page's sentences, without its names, labels and buttons."""
    page = re.sub(r"<(style|script|select|title)\b.*?</\1>|<!--.*?-->", " ", page, flags=re.DOTALL)
    blocks = re.sub(r"<[^>]*>", "\n", INLINE.sub("", re.sub(r"\s+", " ", page)))
    lines = [html.unescape(line).strip() for line in blocks.split("\n")]
    return [line for line in lines if line.endswith((".", "?")) and len(line.split()) > 3]


def grade(texts: list[str]) -> float:
    return textstat.flesch_kincaid_grade(" ".join(texts))


def test_hard_text_is_above_the_highest_grade():
    assert grade(prose(f"<p>{HARD_TEXT}</p>")) > 2 * HIGHEST_GRADE


@pytest.mark.parametrize("name", ["event", "register", "find"])
def test_public_pages_are_easy_to_read(client, week, name):
    assert_easy(client.get(reverse(name, args=[week.slug])))


@pytest.mark.parametrize("name", ["me", "my_schedule", "change", "cancel", "renew", "erase"])
def test_own_pages_are_easy_to_read(client, week, name):
    assert_easy(client.get(reverse(name, args=[sign_up(week).token])))


def test_other_pages_are_easy_to_read(client, week, opening):
    alice, bob = sign_up(week), sign_up(week, "Bob Brown")
    signup.cancel(registration=bob)
    pages = [
        reverse("join", args=[alice.token, opening.slug]),
        reverse("me", args=[bob.token]),
        unsubscribe_url(alice),
        reverse("account_request_login_code"),
        "/nothing-here/",
    ]
    for url in pages:
        assert_easy(client.get(url))


def assert_easy(page) -> None:
    sentences = prose(page.content.decode())
    assert sentences
    assert grade(sentences) <= HIGHEST_GRADE, sentences


@pytest.mark.parametrize("on_waitlist", [False, True])
def test_emails_are_easy_to_read(week, on_waitlist):
    grades = {}
    for kind in kinds.COMPOSERS:
        # An email about one session may have nothing to say to someone on its waitlist.
        with contextlib.suppress(LookupError):
            message = previews.sample(kind, week, on_waitlist=on_waitlist)
            grades[kind] = grade(prose(str(message.alternatives[0][0])))
    assert len(grades) >= len(kinds.COMPOSERS) / 2
    assert {kind: grade for kind, grade in grades.items() if grade > HIGHEST_GRADE} == {}
