"""The page of a week's sessions: each is edited in place, with the rules of its own page."""

import datetime as dt
import re
from html import unescape
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from events import schedule
from events.languages import texts
from events.models import Event, Meeting, Session
from registrations.models import OutgoingMail
from tests.admin_pages import answers_of, messages_of, path, questions_of
from tests.people import in_english, sign_up
from tests.public_urls import FormFields

pytestmark = pytest.mark.django_db

PACIFIC = ZoneInfo("America/Los_Angeles")
# 12:00 PM in Los Angeles. The week is from October 16, 2027, to October 23.
NOW = dt.datetime(2027, 9, 24, 19, tzinfo=dt.UTC)
LINK = "https://zoom.us/j/99988877766?pwd=abc"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def url(week) -> str:
    return f"/admin/events/event/{week.pk}/week/"


@pytest.fixture
def helper(client, django_user_model):
    """Someone with these permissions: helper("view_session")."""

    def with_permissions(*names):
        user = django_user_model.objects.create_user("h", "h@example.org", "x", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return with_permissions


def shown(client, url: str) -> dict[str, list[str]]:
    """What a browser would send from the page as it is."""
    answer = client.get(url)
    assert answer.status_code == 200
    page = answer.content.decode()
    form = re.search(r'<form method="post" novalidate>.*?</form>', page, re.DOTALL)[0]
    sent = FormFields(form).values
    return {name: [unescape(each) for each in values] for name, values in sent.items() if values}


def of(session: Session, **changes: str) -> dict[str, str]:
    """Changes of a session: starts="10/17 9:00", ends=..., link=..., title_en=..."""
    found = {}
    for name, value in changes.items():
        if name in {"starts", "ends"}:
            day, _space, time = value.partition(" ")
            found[f"session-{session.pk}-{name}_at_0"] = f"2027-{day.replace('/', '-')}"
            found[f"session-{session.pk}-{name}_at_1"] = time
        elif name == "link":
            found[f"meeting-{session.pk}-0-join_url"] = value
        else:
            found[f"session-{session.pk}-{name}"] = value
    return found


def save(client, url: str, *changes: dict[str, str]) -> str:
    form: dict[str, list[str] | str] = {**shown(client, url)}
    for each in changes:
        form |= each
    return client.post(url, form, follow=True).content.decode()


def title_of(session: Session) -> str:
    return texts(Session.objects.get(pk=session.pk), "title")[0]


def hours_of(session: Session) -> tuple[str, str]:
    found = Session.objects.get(pk=session.pk)
    start, end = (each.astimezone(PACIFIC) for each in (found.starts_at, found.ends_at))
    return f"{start:%m/%d %H:%M}", f"{end:%m/%d %H:%M}"


def errors_of(page: str) -> list[str]:
    found = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page, re.DOTALL)
    return [" ".join(unescape(re.sub("<[^>]+>", " ", each)).split()) for each in found]


def all_sent() -> None:
    sent_at = NOW - dt.timedelta(minutes=1)
    OutgoingMail.objects.update(state="sent", sent_at=sent_at, claimed_at=sent_at)


def test_only_the_sessions_that_were_changed_are_saved_and_logged(organizer, url, opening, later):
    page = save(
        organizer,
        url,
        of(opening, title_en="New title", starts="10/16 10:00", ends="10/16 14:00", capacity="40"),
    )
    assert title_of(opening) == "New title"
    assert hours_of(opening) == ("10/16 10:00", "10/16 14:00")
    assert Session.objects.get(pk=opening.pk).capacity == 40
    assert [each.object_id for each in LogEntry.objects.all()] == [str(opening.pk)]
    revisions = Session.objects.filter(revision__gt=0).values_list("pk", flat=True)
    assert [*revisions] == [opening.pk]
    assert ("success", "Saved: New title") in messages_of(page)


def test_page_that_is_saved_as_it_is_changes_nothing(organizer, url, week):
    before = [*week.sessions.values(), *Meeting.objects.values()]
    page = save(organizer, url)
    assert [*week.sessions.values(), *Meeting.objects.values()] == before
    assert messages_of(page) == [("info", "You changed nothing, so nothing was saved.")]
    assert not LogEntry.objects.exists()


def test_invitation_fills_in_the_meeting_and_is_logged(organizer, url, opening):
    Meeting.objects.filter(session=opening).delete()
    invitation = f"Join Zoom Meeting\n{LINK}\n\nMeeting ID: 999 8887 7766\nPasscode: 4321\n"
    save(organizer, url, of(opening, link=invitation))
    meeting = Meeting.objects.get(session=opening)
    assert (meeting.join_url, meeting.passcode) == (LINK, "4321")
    assert LogEntry.objects.get().object_id == str(opening.pk)


def test_new_link_takes_the_place_of_the_old_one(organizer, url, week, opening):
    page = save(organizer, url, of(opening, link=LINK))
    assert Meeting.objects.get(session=opening).join_url == LINK
    # No one has a link yet that could lead there.
    assert not [text for _color, text in messages_of(page) if "new Zoom link" in text]
    sign_up(week)
    page = save(organizer, url, of(opening, link=f"{LINK}0"))
    (said,) = [text for _color, text in messages_of(page) if "new Zoom link" in text]
    assert said.endswith("the links in our emails now lead to the new Zoom link.")


def test_link_to_another_site_is_asked_about(organizer, url, opening):
    page = save(organizer, url, of(opening, link="https://meet.example/1"))
    assert questions_of(page) == [
        "This link leads to meet.example, not to Zoom. If that's right, save again."
    ]


def test_links_that_we_create_are_not_edited_here(organizer, url, week):
    Event.objects.filter(pk=week.pk).update(zoom_mode=Event.ZoomMode.SHARED)
    page = organizer.get(url).content.decode()
    assert "join_url" not in page


def test_mistake_in_one_session_saves_none(organizer, url, opening, later):
    before = hours_of(opening)
    page = save(
        organizer,
        url,
        of(opening, starts="10/16 10:00", ends="10/16 14:00"),
        of(later, title_en="", title_es=""),
    )
    assert errors_of(page) == ["Write this in at least one language."]
    assert 'value="10:00"' in page
    assert hours_of(opening) == before
    assert "<title>Error:" in " ".join(page.split())


def test_end_before_the_start_is_a_mistake(organizer, url, opening):
    page = save(organizer, url, of(opening, ends="10/16 08:00"))
    assert errors_of(page) == ["A session must end after it starts."]


def test_unusual_times_of_two_sessions_are_asked_about_and_confirmed(
    organizer, url, opening, later
):
    changes = of(opening, starts="10/16 08:00", ends="10/16 21:00") | of(
        later, starts="10/18 17:00"
    )
    form = {**shown(organizer, url), **changes}
    page = organizer.post(url, form).content.decode()
    assert questions_of(page) == [
        "This session would be 13 hours long. If that's right, save again.",
        "You moved the start, but not the end.",
    ]
    assert f'<a href="#question-long_{opening.pk}">Ends ({opening})</a>' in page
    answer = f"end_moves_{later.pk}"
    organizer.post(url, {**form, **answers_of(page), answer: "keep"})
    assert hours_of(opening) == ("10/16 08:00", "10/16 21:00")
    assert hours_of(later) == ("10/18 17:00", "10/18 20:00")


def test_sessions_that_change_places_do_not_overlap(organizer, url, opening, later):
    first = of(opening, starts="10/18 18:00", ends="10/18 20:00")
    second = of(later, starts="10/16 09:00", ends="10/16 13:00")
    assert "Another session is at the same time" in save(organizer, url, first)
    page = save(organizer, url, first, second)
    assert questions_of(page) == []
    assert hours_of(opening) == ("10/18 18:00", "10/18 20:00")
    assert hours_of(later) == ("10/16 09:00", "10/16 13:00")


def test_changes_of_two_people_are_both_saved(organizer, url, opening, later):
    form = {**shown(organizer, url), **of(opening, capacity="40")}
    Session.objects.filter(pk=opening.pk).update(**in_english(title="Their title"))
    Session.objects.filter(pk=later.pk).update(capacity=7)
    page = organizer.post(url, form, follow=True).content.decode()
    assert Session.objects.get(pk=opening.pk).capacity == 40
    assert title_of(opening) == "Their title"
    assert Session.objects.get(pk=later.pk).capacity == 7
    (said,) = [text for _color, text in messages_of(page) if "Someone else" in text]
    assert "Title (English) (Their title)" in said
    assert f"Spots ({later})" in said


def test_same_field_of_two_people_is_asked_about(organizer, url, opening):
    form = {**shown(organizer, url), **of(opening, title_en="Our title")}
    Session.objects.filter(pk=opening.pk).update(**in_english(title="Their title"))
    page = organizer.post(url, form).content.decode()
    assert "Someone else changed this while you were editing." in page
    assert title_of(opening) == "Their title"
    again = {**form, "opened": re.search(r'name="opened" value="([^"]*)"', page)[1]}
    organizer.post(url, again)
    assert title_of(opening) == "Our title"


def test_link_of_two_people_is_asked_about(organizer, url, opening):
    form = {**shown(organizer, url), **of(opening, link=LINK)}
    Meeting.objects.filter(session=opening).update(join_url="https://zoom.us/j/11122233344")
    page = organizer.post(url, form).content.decode()
    assert "Someone else changed this while you were editing." in page
    assert Meeting.objects.get(session=opening).join_url == "https://zoom.us/j/11122233344"


def test_session_that_someone_deleted_meanwhile_is_left_out(organizer, url, opening, later):
    form = {**shown(organizer, url), **of(opening, capacity="40"), **of(later, capacity="5")}
    later.delete()
    page = organizer.post(url, form, follow=True).content.decode()
    assert Session.objects.get(pk=opening.pk).capacity == 40
    text = "Someone deleted a session while you were editing. What you wrote about it is gone."
    assert ("warning", text) in messages_of(page)


def test_people_in_two_changed_sessions_are_counted_once(organizer, week, url, opening, later):
    sign_up(week, "Alice Adams")
    sign_up(week, "Bob B", sessions=[later])
    all_sent()
    page = save(organizer, url, of(opening, title_en="One"), of(later, title_en="Two"))
    (said,) = [text for _color, text in messages_of(page) if "about this" in text]
    assert said.startswith("2 people get an email about this at 12:10 PM PDT")


def test_edit_that_people_hear_of_right_away_asks_first(organizer, week, url, opening):
    sign_up(week, "Alice Adams")
    all_sent()
    soon = {"starts_at": NOW + dt.timedelta(hours=1), "ends_at": NOW + dt.timedelta(hours=2)}
    Session.objects.filter(pk=opening.pk).update(**soon)
    page = save(organizer, url, of(opening, title_en="New title"))
    assert "1 person would get an email about this right away." in page
    assert 'value="New title"' in page
    assert title_of(opening) != "New title"
    assert not LogEntry.objects.exists()
    save(organizer, url, of(opening, title_en="New title"), {"notify_now": "yes"})
    assert title_of(opening) == "New title"


def test_more_spots_for_people_who_wait_ask_first(organizer, week, url, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name, sessions=[opening])
    page = save(organizer, url, of(opening, capacity="2"))
    assert "1 person on the waitlist would get a spot and an email about it right away." in page
    page = save(organizer, url, of(opening, capacity="2"), {"notify_now": "yes"})
    gets = "1 person on the waitlist gets a spot and an email about it."
    assert ("info", gets) in messages_of(page)


def test_page_shows_link_spots_waitlist_and_pending_emails(organizer, week, url, opening, later):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    Meeting.objects.filter(session=later).delete()
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name)
    all_sent()
    with schedule.edit_session(later.pk) as session:
        session.ends_at += dt.timedelta(hours=1)
        session.save()
    cards = dict(cards_of(organizer.get(url).content.decode()))
    assert "Zoom link Link pasted" in cards[opening.pk]
    assert "1 of 1 spot taken 1 person on the waitlist" in cards[opening.pk]
    assert "Emails" not in cards[opening.pk]
    assert "Zoom link Missing" in cards[later.pk]
    assert "Spots 2 people" in cards[later.pk]
    assert "Emails 2 people, Sep 24, 2027, 12:10 PM PDT" in cards[later.pk]


def cards_of(page: str) -> list[tuple[int, str]]:
    found = re.findall(
        r'<section class="panel week__session.*?id="session-(\d+)"(.*?)</section>', page, re.DOTALL
    )
    return [
        (int(pk), " ".join(unescape(re.sub("<[^>]+>", " ", text)).replace(" ,", ",").split()))
        for pk, text in found
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_page_takes_as_many_queries_for_the_people_of_any_number(
    organizer, week, url, count, django_assert_num_queries
):
    for number in range(count):
        sign_up(week, f"Alice {number}", email=f"alice{number}@example.org")
    with django_assert_num_queries(11):
        organizer.get(url)


def test_sessions_whose_edits_everyone_knows_take_no_more_queries(
    organizer, week, url, django_assert_num_queries
):
    sign_up(week)
    Session.objects.update(revised_at=NOW)
    with django_assert_num_queries(11):
        organizer.get(url)


def test_sessions_without_a_meeting_take_no_more_queries(
    organizer, week, url, django_assert_num_queries
):
    Meeting.objects.filter(session__event=week).delete()
    with django_assert_num_queries(11):
        organizer.get(url)


def test_someone_who_may_only_view_sessions_sees_no_form(helper, url, opening):
    client = helper("view_session")
    page = client.get(url).content.decode()
    assert "<h3" in page
    assert 'type="date"' not in page
    assert client.post(url, of(opening, title_en="New title")).status_code == 403
    assert title_of(opening) != "New title"


def test_someone_who_may_not_see_sessions_sees_no_page(helper, url):
    assert helper("view_event").get(url).status_code == 403


@pytest.mark.parametrize("others", [[], ["view_meeting"]])
def test_someone_who_may_not_change_meetings_keeps_the_link(helper, url, opening, others):
    client = helper("view_session", "change_session", *others)
    assert "join_url" not in client.get(url).content.decode()
    form = {**shown(client, url), **of(opening, title_en="New title", link=LINK)}
    client.post(url, form)
    assert title_of(opening) == "New title"
    assert Meeting.objects.get(session=opening).join_url != LINK


def test_unknown_week_is_not_found(organizer):
    assert organizer.get("/admin/events/event/999/week/").status_code == 404
    assert organizer.get("/admin/events/event/x/week/").status_code == 404


def test_week_without_sessions_leads_to_the_first_one(organizer, url, week):
    week.sessions.all().delete()
    page = organizer.get(url).content.decode()
    assert f'href="/admin/events/session/add/?event={week.pk}"' in page


def test_event_leads_to_its_week(organizer, url, week):
    assert f'<a href="{url}">' in organizer.get(path(week)).content.decode()


def test_copied_week_leads_to_its_sessions(organizer, week):
    address = f"/admin/events/event/{week.pk}/copy/"
    form = {**shown(organizer, address), "do": "create"}
    page = organizer.post(address, form, follow=True).content.decode()
    copy = Event.objects.exclude(pk=week.pk).get()
    (said,) = [text for color, text in messages_of(page) if color == "success"]
    assert f'<a href="/admin/events/event/{copy.pk}/week/">' in said
    assert "See the week's sessions</a>" in said
