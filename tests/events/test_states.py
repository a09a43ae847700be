"""What a session is right now, at a glance: on the event's page, on its own, and on other sites."""

import datetime as dt
import re

import pytest
import time_machine

from events.models import Event, Session
from events.schedule import cancel_session
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MINUTE = dt.timedelta(minutes=1)
PAGES = ("{}", "{}embed/", "{}sessions/opening/")


@pytest.fixture(autouse=True)
def _fresh_pages(settings):
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {**settings.CACHES, "pages": dummy}


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode().replace("&#x27;", "'")


def states(client, path: str) -> list[tuple[str, str]]:
    """The marks on a page: what they are for scripts, and what they say."""
    return re.findall(r'data-state="(\w+)">(\w+)<', page(client, path))


def button(client, path: str) -> list[str]:
    link = r'class="button(?: button--large)?" href="[^"]*/register/[^"]*">([^<]*)<'
    return re.findall(link, page(client, path))


def fill(week: Event, *sessions: Session) -> None:
    """Leave no spot in these sessions."""
    Session.objects.filter(pk__in=[each.pk for each in sessions]).update(capacity=1)
    sign_up(week, "Bob B", sessions=sessions)


@pytest.mark.parametrize("path", PAGES)
def test_sessions_are_marked_as_now_next_over_and_canceled(client, week, path):
    path = path.format(week.get_absolute_url())
    opening, _second, third, *_rest, last = week.sessions.all()
    cancel_session(session=third)
    found = {}
    for name, moment in {
        "before": opening.starts_at - MINUTE,
        "start": opening.starts_at,
        "end": opening.ends_at,
        "after": last.ends_at,
    }.items():
        with time_machine.travel(moment, tick=False):
            # On a session's page, its own mark is before those of the whole week.
            found[name] = states(client, path)[-6:]
    canceled, over = ("canceled", "Canceled"), ("over", "Over")
    before = [("next", "Next"), canceled]
    start = [("now", "Now"), ("next", "Next"), canceled]
    end = [over, ("next", "Next"), canceled]
    own = {"before": before[:1], "start": start[:1], "end": end[:1]} if "sessions" in path else {}
    assert found == {
        "before": own.get("before", []) + before,
        "start": own.get("start", []) + start,
        "end": own.get("end", []) + end,
        "after": [over, over, canceled, over, over, over],
    }


def test_full_session_offers_its_waitlist_where_register_is(client, week, opening, later):
    fill(week, opening)
    text = page(client, opening.get_absolute_url())
    assert "<strong>This session is full.</strong> Join the waitlist" in text
    assert button(client, opening.get_absolute_url()) == ["Join the waitlist"]
    assert button(client, later.get_absolute_url()) == ["Register"]
    assert "This session is full." not in page(client, later.get_absolute_url())


def test_event_page_says_which_sessions_are_full(client, week, opening):
    fill(week, opening)
    text = page(client, week.get_absolute_url())
    assert text.count("Full: join the waitlist") == text.count(">Full<") == 1
    assert button(client, week.get_absolute_url()) == ["Register", "Register"]


@pytest.mark.parametrize("path", ["{}", "{}embed/"])
def test_event_offers_the_waitlist_once_every_open_session_is_full(client, week, path):
    path = path.format(week.get_absolute_url())
    opening, *others = week.sessions.all()
    fill(week, *others)
    assert {*button(client, path)} == {"Register"}
    # What is over isn't open.
    with time_machine.travel(opening.ends_at, tick=False):
        assert {*button(client, path)} == {"Join the waitlist"}


def test_no_one_is_sent_to_a_waitlist_when_registration_has_closed(client, week, opening):
    fill(week, opening)
    Event.objects.update(registration_closes_at=opening.starts_at - MINUTE)
    with time_machine.travel(opening.starts_at - MINUTE, tick=False):
        for path in (week.get_absolute_url(), opening.get_absolute_url()):
            text = page(client, path)
            assert "waitlist" not in text
            assert ">Full<" not in text


@pytest.mark.parametrize("limited", [1, 6])
def test_full_sessions_take_one_query_for_all(client, week, limited, django_assert_num_queries):
    first = week.sessions.all()[:limited]
    Session.objects.filter(pk__in=[each.pk for each in first]).update(capacity=9)
    with django_assert_num_queries(4):
        client.get(week.get_absolute_url())


def test_page_of_a_running_session_says_first_how_to_join(client, week, opening):
    hint = "Already registered? Join with the link in your email."
    with time_machine.travel(opening.starts_at - MINUTE, tick=False):
        assert hint not in page(client, opening.get_absolute_url())
    with time_machine.travel(opening.starts_at, tick=False):
        text = page(client, opening.get_absolute_url())
    assert text.index(hint) < text.index("button--large")


def test_canceled_session_says_so_instead_of_register(client, week, opening):
    cancel_session(session=opening)
    assert "This session is canceled." in page(client, opening.get_absolute_url())
    assert button(client, opening.get_absolute_url()) == []


def test_recording_and_notes_are_public_only_if_chosen_and_once_it_is_over(client, week, opening):
    urls = {"recording_url": "https://example.org/r", "notes_url": "https://example.org/n"}
    found = []
    for shown, moment in (
        (False, opening.ends_at),
        (True, opening.ends_at - MINUTE),
        (True, opening.ends_at),
    ):
        Session.objects.filter(pk=opening.pk).update(shows_recording=shown, **urls)
        with time_machine.travel(moment, tick=False):
            for path in (week.get_absolute_url(), opening.get_absolute_url()):
                text = page(client, path)
                found.append([url in text for url in urls.values()])
    assert found == [[False, False]] * 4 + [[True, True]] * 2


def test_week_that_is_over_leads_to_its_recordings(client, week, opening):
    Session.objects.filter(pk=opening.pk).update(recording_url="https://example.org/r")
    with time_machine.travel(week.sessions.last().ends_at, tick=False):
        assert "See the recordings and notes." not in page(client, week.get_absolute_url())
        Session.objects.filter(pk=opening.pk).update(shows_recording=True)
        assert "See the recordings and notes." in page(client, week.get_absolute_url())
