"""The admin's pages that create a week, and that copy one."""

import datetime as dt
import re
import uuid
from html import unescape

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from events import languages
from events.models import Event, Meeting, Session
from tests.admin_pages import messages_of, path
from tests.people import in_english, sign_up
from tests.public_urls import FormFields

pytestmark = [pytest.mark.django_db, pytest.mark.once]

CREATE = "/admin/events/event/create/"
LIST = "/admin/events/event/"
# What the organizer enters. The rest is there already.
ENTERED = {
    "name_en": "Spring Week",
    "host": "Families United",
    "summary_en": "A week of ideas.",
    "first_day": "2027-03-13",
}


@pytest.fixture(autouse=True)
def _in_summer():
    with time_machine.travel(dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), tick=False):
        yield


@pytest.fixture
def helper(client, django_user_model):
    """Someone with these permissions: helper("add_event")."""

    def with_permissions(*names):
        user = django_user_model.objects.create_user("h", "h@example.org", "x", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return with_permissions


def fields(answer) -> dict[str, str]:
    """What a browser would send: the fields of the page's own form."""
    page = answer.content.decode()
    form = re.search(r'<form method="post" novalidate>.*?</form>', page, re.DOTALL)[0]
    values = FormFields(form).values
    # The one that is checked.
    radios = re.findall(r'name="(\w+)" value="(\w+)"[^>]* checked', form)
    sent = {name: each[0] for name, each in values.items() if each} | dict(radios)
    return {name: unescape(value) for name, value in sent.items()}


def planned(client, **changes) -> dict[str, str]:
    """Fill in the first page, and return what the second one would send."""
    form = fields(client.get(CREATE)) | ENTERED | changes
    return fields(client.post(CREATE, {**form, "do": "plan"}))


def create(client, form: dict[str, str]):
    return client.post(CREATE, {**form, "do": "create"}, follow=True)


def errors(answer) -> str:
    found = re.findall(r'<ul class="errorlist".*?</ul>', answer.content.decode(), re.DOTALL)
    return unescape(" ".join(" ".join(re.sub("<[^>]+>", " ", each).split()) for each in found))


def new_dates(answer) -> list[str]:
    return [date.now for date in answer.context["dates"]]


# Creating


def test_a_complete_draft_takes_three_pages_and_at_most_twelve_inputs(organizer):
    first = organizer.get(CREATE)
    needed = [
        field.name
        for shown in first.context["forms"]
        for field in shown.form
        if field.field.required and not field.is_hidden
    ]
    # Of the texts in each language, one is needed.
    needed += ["name", "summary"]
    assert sorted(needed) == [
        *("evenings", "first_day", "host", "name", "pattern", "summary", "time_zone")
    ]
    assert len(needed) <= 12
    second = organizer.post(CREATE, {**fields(first), **ENTERED, "do": "plan"})
    # Nothing has to be entered on the second page.
    third = create(organizer, fields(second))
    event = Event.objects.get()
    assert third.redirect_chain == [(path(event), 302)]
    assert (event.name, event.status, event.host) == ("Spring Week", "draft", "Families United")
    assert (event.slug, event.time_zone) == ("spring-week", "America/Los_Angeles")
    assert [session.title for session in event.sessions.all()] == [
        "Kickoff",
        *(f"Strategy session {number}" for number in range(1, 5)),
        "Closing session",
    ]
    assert languages.texts(event.sessions.first(), "title") == ("Kickoff", "Apertura")
    assert (
        "Your week is a draft that only organizers see."
        in messages_of(third.content.decode())[0][1]
    )
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.is_addition()) == (str(event.pk), True)
    assert entry.get_change_message() == "Created with its sessions."
    assert list(event.history.all()) == [entry.details]


def test_clock_times_are_those_of_the_zone_across_both_changes(organizer):
    create(organizer, planned(organizer, time_zone="America/New_York"))
    form = planned(organizer, time_zone="America/New_York", first_day="2026-10-31")
    create(organizer, form)
    spring, fall = Event.objects.order_by("pk")
    starts = [[f"{each.starts_at:%H}" for each in event.sessions.all()] for event in (fall, spring)]
    assert starts == [["13", "23", "23", "23", "23", "14"], ["14", "22", "22", "22", "22", "13"]]


def test_titles_days_and_times_can_be_changed_before_the_draft_is_made(organizer):
    form = planned(organizer, pattern="evenings", evenings="2")
    assert form["form-TOTAL_FORMS"] == "2"
    form |= {"form-0-title": "Welcome", "form-0-day": "2027-03-12", "form-0-ends": "21:30"}
    create(organizer, form)
    first, second = Session.objects.all()
    assert languages.texts(first, "title") == ("Welcome", None)
    zone = first.event.zone
    assert f"{first.starts_at.astimezone(zone):%a %H:%M}" == "Fri 18:00"
    assert f"{first.ends_at.astimezone(zone):%H:%M}" == "21:30"
    assert second.title == "Strategy session 2"


def test_a_time_that_clocks_skip_is_explained_after_creating(organizer):
    form = planned(organizer, pattern="evenings", evenings="1", time_zone="America/New_York")
    form |= {"form-0-day": "2027-03-14", "form-0-starts": "02:30", "form-0-ends": "04:00"}
    notes = messages_of(create(organizer, form).content.decode())
    text = "“Strategy session 1”: clocks move forward on Sunday, March 14 and skip 2:30 AM."
    assert notes[1] == ("warning", f"{text} We used 3:30 AM.")


def test_a_session_that_ends_while_clocks_skip_its_start_is_refused(organizer):
    form = planned(organizer, pattern="evenings", evenings="1", time_zone="America/New_York")
    form |= {"form-0-day": "2027-03-14", "form-0-starts": "02:30", "form-0-ends": "03:15"}
    assert errors(create(organizer, form)) == "A session must end after it starts."


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name_en": ""}, "Write this in at least one language."),
        ({"summary_en": ""}, "Write this in at least one language."),
        ({"first_day": ""}, "Choose a day."),
        ({"first_day": "soon"}, "Choose a day, or write it like 2027-10-16."),
        ({"first_day": "2026-03-14"}, "This day has passed. Choose a later one."),
        ({"first_day": "2127-03-13"}, "This is years away. Is it the right year?"),
        (
            {"first_day": "2027-03-14"},
            "With a kickoff on Saturday, the first day must be a Saturday.",
        ),
        ({"time_zone": "Mars/Base"}, "Choose a time zone from the list, such as America/Chicago."),
        ({"evenings": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"evenings": "15"}, "Ensure this value is less than or equal to 14."),
    ],
)
def test_a_mistake_on_the_first_page_is_explained_and_loses_nothing(organizer, wrong, error):
    form = fields(organizer.get(CREATE)) | ENTERED | wrong
    answer = organizer.post(CREATE, {**form, "do": "plan"})
    assert errors(answer) == error
    kept = fields(answer)
    assert {name: kept.get(name, "") for name in ENTERED} == {name: form[name] for name in ENTERED}
    assert kept["draft_key"] == form["draft_key"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"form-1-title": " "}, "Enter a title."),
        ({"form-1-day": ""}, "Choose a day."),
        ({"form-1-starts": "6 o'clock"}, "Choose a time, or write it like 18:30."),
        ({"form-1-ends": ""}, "Choose a time."),
        ({"form-1-ends": "18:00"}, "A session must end after it starts."),
    ],
)
def test_a_mistake_on_the_second_page_is_explained_and_loses_nothing(organizer, wrong, error):
    form = planned(organizer) | {"form-0-title": "Welcome"} | wrong
    answer = create(organizer, form)
    assert errors(answer) == error
    kept = fields(answer)
    assert {name: kept.get(name, "").strip() for name in form if name != "csrfmiddlewaretoken"} == {
        name: form[name].strip() for name in form if name != "csrfmiddlewaretoken"
    }
    assert Event.objects.count() == 0


def test_going_back_keeps_what_was_entered(organizer):
    answer = organizer.post(CREATE, {**planned(organizer), "do": "back"})
    assert fields(answer).items() >= ENTERED.items()
    assert errors(answer) == ""


def test_incomplete_or_odd_requests_create_nothing(organizer):
    form = planned(organizer)
    for odd in (
        {"draft_key": "x"},
        {"form-TOTAL_FORMS": "x"},
        {"form-INITIAL_FORMS": "0", "form-1-title": ""},
        {"form-0-kind": "x"},
        {"pattern": "x"},
    ):
        assert create(organizer, form | odd).status_code == 200
    organizer.get(CREATE, form | {"do": "create"})
    assert Event.objects.count() == 0


def test_sessions_are_checked_and_made_whatever_a_browser_says_of_their_number(organizer):
    create(organizer, planned(organizer) | {"form-INITIAL_FORMS": "0"})
    assert Session.objects.count() == 6
    form = planned(organizer) | {"form-TOTAL_FORMS": "7"}
    assert "Enter a title." in errors(create(organizer, form))
    assert Event.objects.count() == 1


def test_pressing_twice_creates_one_event(organizer, week):
    form = planned(organizer)
    for _press in range(2):
        answer = create(organizer, form)
    (event,) = Event.objects.exclude(pk=week.pk)
    assert answer.redirect_chain == [(path(event), 302)]
    form = fields(organizer.get(copy_url(week))) | {"name_en": "Again", "slug": "again"}
    for _press in range(2):
        answer = organizer.post(copy_url(week), {**form, "do": "create"}, follow=True)
    assert answer.redirect_chain == [(path(Event.objects.get(slug="again")), 302)]
    assert (Event.objects.count(), LogEntry.objects.count()) == (3, 2)


def test_two_weeks_of_the_same_name_have_their_own_addresses(organizer):
    for _week in range(2):
        create(organizer, planned(organizer))
    assert sorted(Event.objects.values_list("slug", flat=True)) == ["spring-week", "spring-week-2"]


def test_host_and_zone_are_those_of_the_last_week(organizer, week):
    Event.objects.update(time_zone="America/Detroit")
    form = fields(organizer.get(CREATE))
    assert (form["host"], form["time_zone"]) == ("Drop LWOP Coalition", "America/Detroit")


# Who finds and may use the pages


def test_the_pages_are_where_organizers_look_for_them(organizer, week):
    assert f'href="{CREATE}"' in organizer.get(LIST).content.decode()
    assert f'href="{copy_url(week)}"' in organizer.get(path(week)).content.decode()
    assert f'href="{CREATE}"' not in organizer.get("/admin/").content.decode()
    week.delete()
    assert "There's no week yet" in unescape(organizer.get("/admin/").content.decode())


def test_people_who_may_not_add_events_neither_see_nor_use_the_pages(helper, week):
    client = helper("view_event", "change_event")
    assert "Copy this week" not in client.get(path(week)).content.decode()
    assert CREATE not in client.get(LIST).content.decode()
    for url in (CREATE, copy_url(week)):
        assert client.get(url).status_code == 403
        assert client.post(url, {"do": "create"}).status_code == 403
    week.delete()
    assert CREATE not in client.get("/admin/").content.decode()


def test_people_who_may_only_add_events_see_no_other(helper, week):
    client = helper("add_event")
    assert client.get(copy_url(week)).status_code == 403
    assert create(client, planned(client)).redirect_chain == [("/admin/", 302)]


def test_strangers_are_asked_to_sign_in(client, week):
    for url in (CREATE, copy_url(week)):
        assert client.get(url).status_code == 302


# Copying


def copy_url(event: Event) -> str:
    return f"/admin/events/event/{event.pk}/copy/"


def test_a_copy_page_shows_the_new_dates_before_anything_is_made(organizer, week):
    answer = organizer.get(copy_url(week))
    first_day = dt.date.fromisoformat(fields(answer)["first_day"])
    assert first_day - week.day_of(week.sessions.first().starts_at) == dt.timedelta(weeks=52)
    form = fields(answer) | {"first_day": "2027-03-13", "do": "preview"}
    dates = new_dates(organizer.post(copy_url(week), form))
    assert dates[:2] == [
        "Saturday, March 13, 2027, 9:00 AM to 1:00 PM PST",
        "Monday, March 15, 2027, 6:00 PM to 8:00 PM PDT",
    ]
    form["first_day"] = "2026-10-31"
    dates = new_dates(organizer.post(copy_url(week), form))
    assert dates[:2] == [
        "Saturday, October 31, 2026, 9:00 AM to 1:00 PM PDT",
        "Monday, November 2, 2026, 6:00 PM to 8:00 PM PST",
    ]
    assert Event.objects.count() == 1


def test_the_first_day_of_an_old_week_is_soon_and_on_the_same_weekday(organizer, week):
    for session in week.sessions.all():
        for name in ("starts_at", "ends_at"):
            setattr(session, name, getattr(session, name) - dt.timedelta(weeks=150))
        session.save()
    assert fields(organizer.get(copy_url(week)))["first_day"] == "2026-08-01"


def test_a_first_day_whose_dates_were_not_shown_is_shown_first(organizer, week):
    form = fields(organizer.get(copy_url(week))) | {"first_day": "2027-03-13", "do": "create"}
    answer = organizer.post(copy_url(week), form)
    assert "You chose another first day." in answer.content.decode()
    assert new_dates(answer)[0].startswith("Saturday, March 13, 2027")
    assert Event.objects.count() == 1
    organizer.post(copy_url(week), {**fields(answer), "do": "create"})
    assert Event.objects.count() == 2


def test_copying_makes_a_draft_and_says_what_comes_next(organizer, week):
    sign_up(week)
    form = fields(organizer.get(copy_url(week)))
    form |= {"name_en": "Spring Week", "name_es": ""}
    answer = organizer.post(copy_url(week), {**form, "do": "create"}, follow=True)
    new = Event.objects.exclude(pk=week.pk).get()
    assert answer.redirect_chain == [(path(new), 302)]
    assert (*languages.texts(new, "name"), new.slug) == ("Spring Week", None, "spring-week")
    assert (new.status, new.registrations.count(), new.sessions.count()) == ("draft", 0, 6)
    ((color, text),) = messages_of(answer.content.decode())
    assert (color, text.split(".")[0]) == (
        "success",
        "The copy is a draft that only organizers see",
    )
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.is_addition()) == (str(new.pk), True)
    assert entry.get_change_message() == "Copied from “Drop LWOP Strategy Week”."
    assert list(new.history.all()) == [entry.details]


def test_copying_twice_gives_each_copy_its_own_address(organizer, week):
    for _copy in range(2):
        form = fields(organizer.get(copy_url(week)))
        organizer.post(copy_url(week), {**form, "do": "create"})
    slugs = sorted(Event.objects.exclude(pk=week.pk).values_list("slug", flat=True))
    assert slugs == ["drop-lwop-strategy-week", "drop-lwop-strategy-week-2"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name_en": "", "name_es": ""}, "Write this in at least one language."),
        ({"slug": "admin"}, "The site uses this address itself. Choose another one."),
        ({"slug": "two words"}, "Enter a valid “slug” consisting of"),
        ({"first_day": ""}, "Choose a day."),
        ({"first_day": "0001-01-01"}, "This day has passed. Choose a later one."),
        ({"first_day": "9999-12-31"}, "This is years away. Is it the right year?"),
    ],
)
def test_a_mistake_while_copying_is_explained_and_loses_nothing(organizer, week, wrong, error):
    form = fields(organizer.get(copy_url(week))) | {"name_en": "Spring Week"} | wrong
    answer = organizer.post(copy_url(week), {**form, "do": "create"})
    assert errors(answer).startswith(error)
    kept = fields(answer)
    for name in ("name_en", "name_es", "slug", "first_day", "draft_key"):
        assert kept.get(name, "") == form.get(name, "")
    assert Event.objects.count() == 1


def test_an_address_of_another_event_is_refused(organizer, week):
    form = fields(organizer.get(copy_url(week))) | {"slug": week.slug, "do": "create"}
    error = "Another event already has this address. Choose another one."
    assert errors(organizer.post(copy_url(week), form)) == error


def test_another_weekday_and_a_skipped_time_are_pointed_out(organizer, week, opening):
    Event.objects.update(time_zone="America/New_York")
    week.sessions.exclude(pk=opening.pk).delete()
    day = dt.datetime(2026, 10, 18, 6, 30, tzinfo=dt.UTC)
    Session.objects.filter(pk=opening.pk).update(
        starts_at=day, ends_at=day + dt.timedelta(hours=2), **in_english(title="Vigil")
    )
    form = fields(organizer.get(copy_url(week)))
    answer = organizer.post(copy_url(week), {**form, "first_day": "2027-03-14", "do": "preview"})
    note = "“Vigil”: clocks move forward on Sunday, March 14 and skip 2:30 AM. We used 3:30 AM."
    assert answer.context["dates"][0].note == note
    another_day = "The copy starts on a different day of the week"
    assert another_day not in answer.content.decode()
    saturday = {**form, "first_day": "2027-03-13", "do": "preview"}
    assert another_day in organizer.post(copy_url(week), saturday).content.decode()
    form |= {"first_day": "2027-03-14", "dates_from": "2027-03-14", "do": "create"}
    page = organizer.post(copy_url(week), form, follow=True).content.decode()
    assert ("warning", note) in messages_of(page)


def test_new_zoom_meetings_are_announced(organizer, week):
    text = "so the copy gets new ones in about a minute"
    assert text not in organizer.get(copy_url(week)).content.decode()
    Event.objects.update(zoom_mode="shared")
    answer = organizer.get(copy_url(week))
    assert text in answer.content.decode()
    form = {**fields(answer), "do": "create"}
    page = organizer.post(copy_url(week), form, follow=True).content.decode()
    text = "We'll create its Zoom meetings in about a minute."
    assert ("info", text) in messages_of(page)
    assert Meeting.objects.exclude(session__event=week).count() == 0


def test_a_week_without_sessions_can_be_copied(organizer, week):
    week.sessions.all().delete()
    answer = organizer.get(copy_url(week))
    assert "This week has no sessions yet." in answer.content.decode()
    organizer.post(copy_url(week), {**fields(answer), "do": "create"})
    assert Event.objects.count() == 2


def test_a_week_that_does_not_exist_is_not_found(organizer, db):
    for odd in ("abc", "0", "99999999999999999999", uuid.uuid4()):
        assert organizer.get(f"/admin/events/event/{odd}/copy/").status_code == 404
