"""The page for lost links: it reveals no one's registration, and is rate limited."""

import datetime as dt
import re
from html import unescape

import pytest
import time_machine
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import OutgoingMail, Registration
from registrations.views.rate_limit import is_rate_limited
from tests.people import filled_form, published_event, sign_up

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def find(client: Client, week, email: str = "alice@example.org", **headers):
    return client.post(f"/{week.slug}/find/", {"email": email}, headers=headers)


def text_of(answer) -> str:
    """The text of a page."""
    bare = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def sent(person: Registration) -> None:
    """Mark their emails as sent."""
    person.mails.update(state="sent", sent_at=timezone.now())


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week)


def statements(queries: CaptureQueriesContext) -> list[str]:
    """The SQL without its values."""
    return [
        re.sub(r"'[^']*'|\b\d+\b|s\d+_x\d+", "?", query["sql"])
        for query in queries.captured_queries
    ]


def test_answer_is_the_same_for_every_address(client, week):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]
    alice, bob, charlie, dora = people
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    Registration.objects.filter(pk=bob.pk).update(approval="pending")
    signup.decline(registrations=[charlie])
    signup.cancel(registration=dora)
    later = timezone.now() + HOUR
    with time_machine.travel(later):
        pages = set()
        for email in (*(person.email for person in people), "nobody@example.org"):
            for _press in range(2):
                answer = find(client, week, email)
                assert answer.status_code == 200
                assert email in answer.content.decode()
                pages.add(text_of(answer).replace(email, ""))
    assert len(pages) == 1
    queued = OutgoingMail.objects.filter(state="waiting").values_list("registration", "kind")
    assert sorted(queued) == [(alice.pk, "links"), (bob.pk, "received")]


def test_address_may_be_in_any_case_with_spaces_around(client, week, alice):
    sent(alice)
    with time_machine.travel(timezone.now() + HOUR):
        find(client, week, "  ALICE@Example.org ")
    assert alice.mails.count() == 2


def test_find_looks_in_one_event_only(client, week, alice):
    sent(alice)
    published_event(name="Other", slug="other")
    with time_machine.travel(timezone.now() + HOUR):
        assert client.post("/other/find/", {"email": alice.email}).status_code == 200
    assert alice.mails.count() == 1


@pytest.mark.parametrize(
    ("email", "error"),
    [
        ("", "Enter the email you registered with."),
        ("alice@", "Enter an email address, such as"),
        ("a" * 300 + "@example.org", "at most 254 characters"),
        ('"alice"@example.org', "Remove quotation marks"),
        ("alice@exa\u200bmple.org", "an invisible character"),
    ],
)
def test_bad_address_is_explained(client, week, email, error):
    answer = find(client, week, email)
    assert error in text_of(answer)
    assert answer.context["form"]["email"].value() == email
    assert OutgoingMail.objects.count() == 0


def test_draft_event_has_no_find_page(client, week):
    assert client.get("/nothing/find/").status_code == 404
    Event.objects.update(status="draft")
    assert client.get(f"/{week.slug}/find/").status_code == 404


def test_find_page_is_linked_from_other_pages(client, week):
    link = f'href="/{week.slug}/find/"'
    fields = {"name": "A", "email": "a@example.org", "time_zone": "UTC"}
    fields["sessions"] = week.sessions.first().pk
    registered = client.post(f"/{week.slug}/register/", fields, follow=True)
    pages = [client.get(f"/{week.slug}/"), registered, client.get("/me/x/")]
    now = timezone.now()
    for opens, closes in ((now + HOUR, None), (None, now)):
        caches["pages"].clear()
        Event.objects.update(registration_opens_at=opens, registration_closes_at=closes)
        pages.append(client.get(f"/{week.slug}/register/"))
    assert "Registration isn't open yet" in text_of(pages[-2])
    assert "Registration has closed" in text_of(pages[-1])
    assert [page for page in pages if link not in page.content.decode()] == []


def test_queries_are_the_same_for_every_address(client, week, django_capture_on_commit_callbacks):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")]
    alice, bob, charlie, dora, eve = people
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now() - HOUR)
    OutgoingMail.objects.exclude(registration=eve).update(created_at=timezone.now() - HOUR)
    Registration.objects.filter(pk=bob.pk).update(approval="pending")
    signup.decline(registrations=[charlie])
    signup.cancel(registration=dora)
    done = {}
    for email in (*(person.email for person in people), "nobody@example.org"):
        with (
            CaptureQueriesContext(connection) as queries,
            django_capture_on_commit_callbacks() as nudges,
        ):
            find(client, week, email)
        done[email] = statements(queries), len(nudges)
    assert done["nobody@example.org"][1] == 1
    assert [email for email in done if done[email] != done["nobody@example.org"]] == []
    queued = OutgoingMail.objects.filter(state="waiting").values_list("registration", "kind")
    assert sorted(queued) == [(alice.pk, "links"), (bob.pk, "received")]


def test_links_are_emailed_at_most_once_in_ten_minutes(client, week):
    alice = sign_up(week)
    begin = timezone.now() + HOUR
    for minutes, count in ((0, 2), (1, 2), (9, 2), (11, 3)):
        alice.mails.update(state="sent", sent_at=timezone.now())
        with time_machine.travel(begin + dt.timedelta(minutes=minutes), tick=False):
            find(client, week)
        assert alice.mails.count() == count


# Rate limits


@pytest.fixture
def two_each(settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"find": "2/10m/ip", "register": "2/10m/ip"}
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0


def test_rate_limited_form_keeps_what_was_entered(client, week, two_each):
    alice = sign_up(week, "Alice A", email="alice@example.org")
    alice.mails.update(state="sent", sent_at=timezone.now(), created_at=timezone.now() - HOUR)
    assert [find(client, week, f"{name}@example.org").status_code for name in "ab"] == [200, 200]
    answer = find(client, week)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "Wait a few minutes" in page
    assert "<title>Error: " in page
    assert 'value="alice@example.org"' in page
    assert answer["Cache-Control"] == "no-store"
    assert alice.mails.count() == 1
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11)):
        assert find(client, week).status_code == 200
    assert alice.mails.count() == 2


def test_page_views_do_not_count(client, week, two_each):
    for _time in range(5):
        client.get(f"/{week.slug}/find/")
    assert find(client, week).status_code == 200


def test_each_visitor_and_each_form_has_its_own_limit(week, two_each):
    here, there = Client(REMOTE_ADDR="192.0.2.1"), Client(REMOTE_ADDR="192.0.2.2")
    assert [find(here, week).status_code for _time in range(3)] == [200, 200, 429]
    assert find(there, week).status_code == 200
    assert here.post(f"/{week.slug}/register/", filled_form(week)).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "headers", "statuses"),
    [
        # Without a proxy what a visitor claims is no address.
        (0, ["203.0.113.1", "203.0.113.2", "203.0.113.3"], [200, 200, 429]),
        # The proxy adds the last address. The ones before it come from the visitor.
        (1, [f"203.0.113.{n}, 198.51.100.7" for n in range(3)], [200, 200, 429]),
        (1, [f"203.0.113.1, 198.51.100.{n}" for n in range(3)], [200, 200, 200]),
        (2, [f"203.0.113.{n}, 198.51.100.7" for n in range(3)], [200, 200, 200]),
    ],
)
def test_ip_address_comes_from_trusted_proxies(
    client, week, settings, two_each, proxies, headers, statuses
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    answers = [find(client, week, **{"X-Forwarded-For": each}) for each in headers]
    assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize(("proxies", "header"), [(1, "unknown"), (2, "203.0.113.1")])
def test_visitor_without_a_known_ip_address_is_not_limited_but_logged(
    client, week, settings, two_each, caplog, proxies, header
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    for _time in range(3):
        assert find(client, week, **{"X-Forwarded-For": header}).status_code == 200
    assert caplog.text.count("Is TRUSTED_PROXY_COUNT right?") == 3


def test_registering_is_rate_limited_too(client, week, two_each):
    def register(name: str):
        entered = filled_form(week, email=f"{name}@example.org", organization="Families")
        entered |= {"needs_other": "Large print", "sessions": [week.sessions.first().pk]}
        return client.post(f"/{week.slug}/register/", entered)

    assert [register(name).status_code for name in ("a", "b", "c")] == [302, 302, 429]
    assert Registration.objects.count() == 2
    page = register("c").content.decode()
    assert "Not registered yet" in page
    assert "Wait a few minutes" in page
    for value in ("c@example.org", "Families", "Large print"):
        assert value in page
    assert page.count('name="sessions"') == 6
    assert len(re.findall(r'name="sessions" value="\d+" checked', page)) == 1


@pytest.mark.once
@pytest.mark.parametrize(("form", "most"), [("find", 60), ("register", 600)])
def test_limits_allow_many_people_behind_one_ip_address(rf, form, most):
    request = rf.post("/")
    assert [is_rate_limited(request, form) for _time in range(most + 1)] == [False] * most + [True]


def test_answer_says_once_where_to_write(client, week):
    Event.objects.update(contact_email="week@example.org")
    assert find(client, week).content.decode().count("mailto:") == 1
