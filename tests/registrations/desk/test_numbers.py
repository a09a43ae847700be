"""The numbers on the admin's front page: each is as long as the list that it leads to."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django.utils.translation import override

from events.models import Event, Meeting, Session
from events.schedule import cancel_session
from registrations import signup
from registrations.desk import numbers
from registrations.desk.numbers import CHART_DAYS, CHART_HEIGHT, TOP
from registrations.models import OutgoingMail, Registration
from tests.people import in_english, published_event, sign_up
from tests.registrations.readiness.people import mail, mailed, registered

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 20, 20, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def listed(client, figures) -> dict[str, int]:
    """The length of the list of each number. It's the number."""
    lengths = {}
    for figure in figures:
        answer = client.get(figure.url)
        assert answer.status_code == 200
        lengths[figure.label] = answer.context["cl"].result_count
    assert lengths == {figure.label: figure.number for figure in figures}
    return lengths


def test_registrations_are_counted_by_status(week, admin_client):
    names = ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E", "Fay F")
    _alice, _bob, charlie, dora, eve, fay = (sign_up(week, name) for name in names)
    signup.cancel(registration=charlie)
    signup.decline(registrations=[dora])
    Registration.objects.filter(pk=eve.pk).update(approval="pending")
    signup.cancel(registration=fay)
    blank = dict.fromkeys(["name", "email", "search_key", "name_key", "zoom_email"], "")
    Registration.objects.filter(pk=fay.pk).update(erased_at=timezone.now(), **blank)
    assert listed(admin_client, numbers.registration_totals(week)) == {
        "Registrations in all": 6,
        "Coming": 2,
        "Waiting for approval": 1,
        "Declined": 1,
        "Canceled": 1,
        "Erased": 1,
    }


def test_totals_without_anyone_are_zero(week, admin_client):
    totals = numbers.registration_totals(week)
    assert listed(admin_client, totals) == {"Registrations in all": 0, "Coming": 0}


def at(moment: dt.datetime, week: Event, *names: str) -> None:
    people = registered(week, list(names))
    pks = [person.pk for person in people]
    Registration.objects.filter(pk__in=pks).update(created_at=moment)


def test_days_of_the_chart_are_those_of_the_event(week, admin_client):
    # In Los Angeles it is one day earlier until 7 AM UTC, since clocks changed on March 8.
    at(NOW.replace(hour=6, minute=59), week, "a", "b")
    at(NOW.replace(hour=7, minute=0), week, "c")
    at(NOW - 13 * DAY, week, "d")
    chart = numbers.registrations_per_day(week, NOW)
    assert [(day.label, day.number, day.share) for day in chart.days] == [
        ("Fri, Mar 20", 1, 50),
        ("Thu, Mar 19", 2, 100),
        ("Sat, Mar 7", 1, 50),
    ]
    listed(admin_client, chart.days)
    assert (chart.first, chart.last, chart.most) == ("Sat, Feb 21", "Fri, Mar 20", 2)
    assert len(chart.bars) == CHART_DAYS
    *_others, yesterday, today = chart.bars
    assert (yesterday.y, yesterday.height, yesterday.title) == (0, CHART_HEIGHT, "Thu, Mar 19: 2")
    assert (today.x, today.height) == (CHART_DAYS * 10 - 9, CHART_HEIGHT // 2)
    assert chart.bars[0].height == 0


def test_chart_of_a_past_week_ends_with_its_last_registration(week):
    assert numbers.registrations_per_day(week, NOW) is None
    at(NOW - 100 * DAY, week, "a")
    chart = numbers.registrations_per_day(week, NOW)
    assert (chart.last, [day.number for day in chart.days]) == ("Wed, Dec 10", [1])
    at(NOW - (CHART_DAYS - 1) * DAY, week, "b")
    assert numbers.registrations_per_day(week, NOW).last == "Fri, Mar 20"


def test_one_registration_is_seen_next_to_hundreds(week):
    at(NOW, week, *(f"n{number}" for number in range(200)))
    at(NOW - DAY, week, "a")
    chart = numbers.registrations_per_day(week, NOW)
    assert chart.bars[-2].height == 2
    assert chart.days[1].share == 1


def test_people_who_come_are_counted_by_what_they_said(week, admin_client):
    first, second = week.tracks.all()[:2]
    about: Any = {"organization": "Families & Friends", "us_state": "CA"}
    sign_up(week, "Alice A", strategies=[first, second], **about)
    sign_up(week, "Bob B", strategies=[second], us_state="NY", language="es")
    signup.cancel(registration=sign_up(week, "Charlie C", strategies=[first], **about))
    found = numbers.people_by(week)
    shown = [title for title, figures in found.items() if figures]
    assert shown == ["By strategy", "By state", "By organization", "By language"]
    assert listed(admin_client, found["By strategy"]) == {str(first): 1, str(second): 2}
    assert [figure.label for figure in found["By strategy"]] == [str(second), str(first)]
    assert listed(admin_client, found["By state"]) == {"California": 1, "New York": 1}
    assert listed(admin_client, found["By organization"]) == {"Families & Friends": 1}
    assert listed(admin_client, found["By language"]) == {"English": 1, "Spanish": 1}
    assert [figure.share for figure in found["By strategy"]] == [100, 50]
    with override("es"):
        by_language = numbers.people_by(week)["Por idioma"]
    labels = {figure.label for figure in by_language}
    assert labels == {"Inglés", "Español"}


def test_people_who_came_to_an_earlier_week_are_counted(week, admin_client):
    other = Event.objects.create(slug="other", **in_english(name="Other week"))
    with time_machine.travel(NOW - DAY, tick=False):
        for name in ("Alice A", "Bob B"):
            sign_up(other, name, email=f"{name[0]}@example.org")
        signup.cancel(registration=sign_up(other, "Cora C", email="c@example.org"))
    sign_up(week, "Alice A", email="A@example.org")
    # Another name at a known address, someone who canceled, and someone new.
    sign_up(week, "Bea B", email="B@example.org")
    sign_up(week, "Cora C", email="c@example.org")
    sign_up(week, "Dora D", email="d@example.org")
    figures = numbers.people_by(week)["New and returning"]
    assert listed(admin_client, figures) == {"First time": 3, "Came before": 1}
    assert numbers.people_by(other)["New and returning"] == []


def test_only_the_most_frequent_organizations_are_named(week):
    for number in range(TOP + 1):
        for person in range(2 if number == TOP else 1):
            email = f"p{number}@example.org"
            sign_up(week, f"P{person} N", email=email, organization=f"Org {number}")
    found = numbers.people_by(week)["By organization"]
    assert len(found) == TOP
    assert found[0][:2] == (f"Org {TOP}", 2)


def test_seats_are_counted_per_session(week, opening, later):
    opening.capacity = 2
    opening.save()
    for name in ("Alice A", "Bob B", "Charlie C"):
        sign_up(week, name, sessions=[opening, later])
    Session.objects.filter(pk=later.pk).update(status="draft")
    closing = week.sessions.last()
    sign_up(week, "Dora D", sessions=[closing])
    first, *others, last = numbers.seats_by_session(week, timezone.now())
    assert first == (opening, 2, 1, 0, 100)
    assert later not in [row.session for row in others]
    assert {row[1:] for row in others} == {(0, 0, 0, 0)}
    # Without a limit there is no bar.
    assert last == (closing, 1, 0, 0, 0)
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    assert numbers.seats_by_session(week, timezone.now())[0].share == 100


def test_spots_of_people_who_may_not_exist_are_counted_if_others_wait(week, opening):
    opening.capacity = 1
    opening.save()
    mailed(sign_up(week, sessions=[opening]), "bounced")
    assert numbers.seats_by_session(week, timezone.now())[0].idle == 0
    sign_up(week, "Bob B", sessions=[opening])
    assert numbers.seats_by_session(week, timezone.now())[0].idle == 1
    assert numbers.seats_by_session(week, opening.ends_at)[0].idle == 0


def test_emails_of_a_week_are_counted_by_state(week, admin_client):
    alice = sign_up(week)
    old = mail(alice)
    OutgoingMail.objects.filter(pk=old.pk).update(created_at=timezone.now() - 8 * DAY)
    mail(alice, state="failed")
    mail(alice)
    mail(alice)
    figures = numbers.emails_by_state(week, timezone.now())
    assert listed(admin_client, figures) == {"Waiting": 1, "Sent": 2, "Failed": 1}


def test_numbers_are_of_one_event(week, admin_client):
    sign_up(week, organization="Here", us_state="CA")
    other = Event.objects.create(slug="other", host="Us", **in_english(name="Other"))
    assert numbers.registration_totals(other)[0].number == 0
    assert numbers.registrations_per_day(other, timezone.now()) is None
    assert not any(numbers.people_by(other).values())
    assert numbers.emails_by_state(other, timezone.now()) == []
    assert numbers.seats_by_session(other, timezone.now()) == []


def test_zoom_meetings_are_counted_by_how_they_stand(week, admin_client, settings):
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    week.zoom_mode = "shared"
    week.save()
    gone, refused, unmade, draft, canceled, well = week.sessions.all()
    for number, session in enumerate(week.sessions.all(), start=1):
        Meeting.objects.filter(session=session).update(state="made", zoom_id=number)
    Meeting.objects.filter(session=gone).update(state="gone")
    Meeting.objects.filter(session__in=[refused, canceled]).update(problem="No.")
    Meeting.objects.filter(session__in=[unmade, draft]).delete()
    cancel_session(session=canceled)
    Session.objects.filter(pk=draft.pk).update(status="draft")
    other = published_event(slug="other", **in_english(name="Other"))
    assert listed(admin_client, numbers.zoom_meetings(week)) == {
        "Ready": 1,
        "Being created": 1,
        "Needs attention": 2,
    }
    assert listed(admin_client, numbers.zoom_meetings(other)) == {"Ready": 0, "Needs attention": 0}
    with time_machine.travel(well.ends_at):
        assert {each.number for each in numbers.zoom_meetings(week)} == {0}


def test_pasted_links_are_not_being_created(week, admin_client):
    Meeting.objects.filter(session=week.sessions.first()).delete()
    assert listed(admin_client, numbers.zoom_meetings(week)) == {"Ready": 5, "Needs attention": 1}
