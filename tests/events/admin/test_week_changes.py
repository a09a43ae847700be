"""Shifting all sessions of a week, and duplicating one."""

import datetime as dt
import re
from html import unescape
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from events import schedule, weeks
from events.languages import texts
from events.models import AgendaItem, Session, Speaker
from registrations import tasks
from registrations.models import OutgoingMail
from tests.admin_pages import messages_of, move_to
from tests.people import in_english, sign_up
from tests.public_urls import FormFields

pytestmark = pytest.mark.django_db

PACIFIC = ZoneInfo("America/Los_Angeles")
# 12:00 PM in Los Angeles. The week is from October 16, 2027, to October 23.
NOW = dt.datetime(2027, 9, 24, 19, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def url(week) -> str:
    return f"/admin/events/event/{week.pk}/shift/"


@pytest.fixture
def duplicate(opening) -> str:
    return f"/admin/events/session/{opening.pk}/duplicate/"


@pytest.fixture
def helper(client, django_user_model):
    """Someone with these permissions: helper("view_session")."""

    def with_permissions(*names):
        user = django_user_model.objects.create_user("h", "h@example.org", "x", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return with_permissions


def sent_from(page: str) -> dict[str, list[str]]:
    form = re.search(r'<form method="post" novalidate>.*?</form>', page, re.DOTALL)[0]
    return {name: values for name, values in FormFields(form).values.items() if values}


def preview(client, url: str, **amount: int) -> str:
    return client.post(url, {"days": 0, "minutes": 0, **amount, "do": "preview"}).content.decode()


def shift(client, url: str, **amount: int) -> str:
    form = sent_from(preview(client, url, **amount)) | {"do": "shift"}
    return client.post(url, form, follow=True).content.decode()


def starts(week) -> list[str]:
    return [f"{each.starts_at.astimezone(PACIFIC):%m/%d %H:%M}" for each in week.sessions.all()]


def errors_of(page: str) -> list[str]:
    found = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]+>", " ", each)).split()) for each in found]


def all_sent() -> None:
    sent_at = NOW - dt.timedelta(minutes=1)
    OutgoingMail.objects.update(state="sent", sent_at=sent_at, claimed_at=sent_at)


# Shifting


def test_all_sessions_move_by_days_and_minutes(organizer, week, url, opening):
    page = shift(organizer, url, days=7, minutes=30)
    assert starts(week) == [
        *("10/23 09:30", "10/25 18:30", "10/26 18:30"),
        *("10/27 18:30", "10/28 18:30", "10/30 09:30"),
    ]
    moved = week.sessions.first()
    assert moved.ends_at - moved.starts_at == opening.ends_at - opening.starts_at
    assert messages_of(page)[0] == ("success", "6 sessions moved.")
    assert LogEntry.objects.count() == 6


def test_clock_times_stay_when_clocks_change(organizer, week, url):
    # Clocks move back on November 7.
    shift(organizer, url, days=28)
    assert starts(week)[0] == "11/13 09:00"


def test_time_that_clocks_skip_is_explained(organizer, week, url, opening):
    # They skip 2:00 AM to 3:00 AM on March 14, 2027, and on March 12, 2028.
    starts_at = dt.datetime(2027, 10, 17, 2, 30, tzinfo=PACIFIC)
    Session.objects.filter(pk=opening.pk).update(
        starts_at=starts_at, ends_at=starts_at + dt.timedelta(hours=1)
    )
    page = unescape(preview(organizer, url, days=147))
    assert "clocks move forward on Sunday, March 12 and skip 2:30 AM. We used 3:30 AM." in page


def test_first_the_new_dates_and_the_people_are_shown(organizer, week, url):
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name)
    all_sent()
    before = starts(week)
    page = preview(organizer, url, days=-1)
    assert "Friday, October 15, 2027, 9:00 AM to 1:00 PM PDT" in page
    text = "2 people get an email about this at 12:10 PM PDT, unless you undo it first."
    assert f"<li>{text}</li>" in page
    assert starts(week) == before
    assert not Session.objects.filter(revision__gt=0).exists()
    assert not LogEntry.objects.exists()


def test_people_are_emailed_as_for_edits(organizer, week, url, clock):
    sign_up(week)
    all_sent()
    page = shift(organizer, url, days=1)
    (said,) = [text for _color, text in messages_of(page) if "gets an email" in text]
    assert said.startswith("1 person gets an email about this at 12:10 PM PDT")
    clock.shift(dt.timedelta(minutes=11))
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="changed").count() == 6


def test_other_amount_than_on_the_page_is_shown_first(organizer, week, url):
    before = starts(week)
    form = sent_from(preview(organizer, url, days=1)) | {"days": "2", "do": "shift"}
    page = organizer.post(url, form).content.decode()
    assert "Nothing has moved yet." in page
    assert "Monday, October 18, 2027, 9:00 AM" in page
    assert starts(week) == before


def test_button_that_is_pressed_twice_shifts_once(organizer, week, url):
    form = sent_from(preview(organizer, url, days=1)) | {"do": "shift"}
    organizer.post(url, form)
    page = organizer.post(url, form).content.decode()
    text = "A session was just edited, so nothing was done. Please check the new dates again."
    assert messages_of(page) == [
        ("success", "6 sessions moved."),
        ("info", "No one gets an email about this."),
        ("warning", text),
    ]
    assert starts(week)[0] == "10/17 09:00"


def test_session_that_was_added_meanwhile_is_looked_at_first(organizer, week, url, opening):
    form = sent_from(preview(organizer, url, days=1)) | {"do": "shift"}
    weeks.duplicate_session(session=opening, day=dt.date(2027, 10, 20))
    assert "nothing was done" in organizer.post(url, form).content.decode()
    assert starts(week)[0] == "10/16 09:00"


def test_sessions_that_have_started_stay(organizer, week, url, opening, clock):
    move_to(organizer, clock, opening.starts_at + dt.timedelta(minutes=1))
    shift(organizer, url, days=1)
    assert starts(week)[:2] == ["10/16 09:00", "10/19 18:00"]
    move_to(organizer, clock, opening.starts_at + dt.timedelta(days=30))
    assert "no session that hasn&#x27;t started" in preview(organizer, url, days=1) or (
        "There are no sessions left to shift." in preview(organizer, url, days=1)
    )


def test_start_in_the_past_is_refused(organizer, week, url, opening):
    page = preview(organizer, url, days=-22)
    assert errors_of(page) == [
        f"“{opening}” would start in the past. Choose other days or minutes."
    ]
    assert preview(organizer, url, days=-21).count("<dd>") == 6


def test_no_shift_at_all_is_refused(organizer, url):
    page = preview(organizer, url)
    assert errors_of(page) == ["Enter how many days or minutes to shift the sessions."]


def test_shifting_needs_permission_to_change_sessions(helper, week, url):
    client = helper("view_session", "view_event", "change_event")
    assert client.get(url).status_code == 403
    assert client.post(url, {"days": 1, "minutes": 0, "do": "shift"}).status_code == 403


# Duplicating


def test_copy_is_a_draft_on_the_next_day_with_agenda_and_hosts(organizer, week, duplicate, opening):
    speaker = Speaker.objects.create(event=week, **in_english(name="Ana"))
    opening.hosts.add(speaker)
    item = opening.agenda.first() or AgendaItem.objects.create(
        session=opening, **in_english(title="Welcome")
    )
    item.speakers.add(speaker)
    page = organizer.post(
        duplicate, sent_from(organizer.get(duplicate).content.decode()), follow=True
    )
    new = week.sessions.get(status="draft")
    assert f"{new.starts_at.astimezone(PACIFIC):%m/%d %H:%M}" == "10/17 09:00"
    assert new.ends_at - new.starts_at == opening.ends_at - opening.starts_at
    assert texts(new, "title", "summary") == texts(opening, "title", "summary")
    assert {*new.hosts.all()} == {*opening.hosts.all()}
    assert [texts(each, "title") for each in new.agenda.all()] == [
        texts(each, "title") for each in opening.agenda.all()
    ]
    assert [*new.agenda.get(position=item.position).speakers.all()] == [*item.speakers.all()]
    assert new.meeting_or_none is None
    assert new.slug != opening.slug
    assert LogEntry.objects.get().object_id == str(new.pk)
    assert page.redirect_chain[0][0].endswith(f"/week/#session-{new.pk}")
    text = (
        f"“{opening}” is now on Sunday, October 17, too. The copy is a draft, and has no Zoom link "
        "yet."
    )
    assert ("success", text) in messages_of(page.content.decode())


def test_copy_goes_to_the_chosen_day(organizer, week, duplicate):
    organizer.post(duplicate, {"day": "2027-11-20"})
    new = week.sessions.get(status="draft")
    assert f"{new.starts_at.astimezone(PACIFIC):%m/%d %H:%M}" == "11/20 09:00"


def test_button_that_is_pressed_twice_makes_one_copy(organizer, week, duplicate, opening):
    first = organizer.post(duplicate, {"day": "2027-10-17"})
    second = organizer.post(duplicate, {"day": "2027-10-17"})
    new = week.sessions.get(status="draft")
    assert first.url == second.url == f"/admin/events/event/{week.pk}/week/#session-{new.pk}"
    assert LogEntry.objects.count() == 1
    organizer.post(duplicate, {"day": "2027-10-24"})
    # Once the copy has become another session, there can be one more.
    Session.objects.filter(pk=new.pk).update(**in_english(title="Something else"))
    organizer.post(duplicate, {"day": "2027-10-17"})
    assert week.sessions.filter(status="draft").count() == 3


def test_copy_of_a_draft_may_be_on_its_own_day(organizer, week, duplicate, opening):
    Session.objects.filter(pk=opening.pk).update(status="draft")
    organizer.post(duplicate, {"day": "2027-10-16"})
    assert week.sessions.filter(status="draft").count() == 2


def test_copy_of_a_canceled_session_is_not_canceled(organizer, week, duplicate, opening):
    schedule.cancel_session(session=opening, reason={"en": "Storm"})
    organizer.post(duplicate, {"day": "2027-10-17"})
    new = week.sessions.get(status="draft")
    assert (new.canceled_at, new.cancel_reason, new.revision) == (None, "", 0)


def test_copy_of_a_session_that_is_over_goes_to_tomorrow(organizer, duplicate, opening, clock):
    move_to(organizer, clock, opening.ends_at + dt.timedelta(days=30))
    assert 'value="2027-11-16"' in organizer.get(duplicate).content.decode()


def test_opening_the_page_copies_nothing(organizer, week, duplicate):
    organizer.get(duplicate)
    assert not week.sessions.filter(status="draft").exists()


def test_day_that_has_passed_is_refused(organizer, week, duplicate):
    page = organizer.post(duplicate, {"day": "2027-09-01"}).content.decode()
    assert errors_of(page) == ["This day has passed. Choose a later one."]
    assert not week.sessions.filter(status="draft").exists()


def test_duplicating_needs_permission_to_add_sessions(helper, week, duplicate):
    client = helper("view_session", "change_session")
    assert client.post(duplicate, {"day": "2027-10-17"}).status_code == 403
    assert not week.sessions.filter(status="draft").exists()
