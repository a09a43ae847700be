"""The page of pending notices: what changed, who gets an email when, and its buttons."""

import datetime as dt

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from events import schedule
from events.models import AgendaItem, Session
from events.schedule import cancel_session, edit_session, hold_notices, restore_session
from events.templatetags.times import day, hours
from registrations import tasks
from registrations.models import OutgoingMail
from tests.admin_pages import messages_of
from tests.people import sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

# 4:04 PM in Los Angeles.
NOW = dt.datetime(2026, 9, 1, 23, 4, tzinfo=dt.UTC)
UNDONE = "The title, time, summary, address and status are what people were last told."
STATUS = "/admin/registrations/outgoingmail/status/"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def edited(week, opening):
    """The opening session, an hour later and with another title. Two people don't know it yet."""
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name)
    sent_at = NOW - dt.timedelta(minutes=1)
    OutgoingMail.objects.update(state="sent", sent_at=sent_at, claimed_at=sent_at)
    with edit_session(opening.pk) as current:
        current.title = "New title"
        current.starts_at += dt.timedelta(hours=1)
        current.save()
    return Session.objects.get(pk=opening.pk)


def page_of(session: Session) -> str:
    return f"/admin/events/session/notices/{session.event_id}/"


def text(client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


def press(client, session: Session, button: str, **changes) -> list[tuple[str, str]]:
    fields = {"session": session.pk, "revision": session.revision, "do": button, **changes}
    answer = client.post(page_of(session), fields, follow=True)
    return [(color, said.partition(" <a ")[0]) for color, said in messages_of(answer.text)]


def history() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


def now_of(session: Session) -> Session:
    return Session.objects.get(pk=session.pk)


def test_page_says_what_changed_for_whom_and_when(organizer, opening, edited):
    page = text(organizer, page_of(edited))
    assert "2 people" in page
    assert f"<li>The title was “{opening.title}”.</li>" in page
    zone = opening.event.zone
    assert f"<li>It was on {day(opening.starts_at, zone)}, {hours(opening, zone)}.</li>" in page
    assert "<b>in 10 minutes</b>: Sep 1, 2026, 4:14 PM PDT." in page
    for button in ("hold", "now", "undo"):
        assert f'value="{button}"' in page
    assert 'value="release"' not in page
    assert "The agenda and the Zoom meeting stay as they are." in page
    assert "Undo doesn't cover" not in page


def test_page_says_what_undo_leaves(organizer, edited):
    with edit_session(edited.pk):
        AgendaItem.objects.create(session=edited, title="A new item")
    page = text(organizer, page_of(edited))
    assert "<li>The agenda was changed.</li>" in page
    assert "Undo doesn't cover the agenda" in page
    assert "stay as they are" not in page


def test_agenda_alone_has_no_undo(organizer, edited):
    press(organizer, edited, "undo")
    with edit_session(edited.pk):
        AgendaItem.objects.create(session=edited, title="A new item")
    page = text(organizer, page_of(edited))
    assert 'value="undo"' not in page
    assert 'value="hold"' in page


def test_canceled_session_loses_its_reason_when_undone(organizer, edited):
    press(organizer, edited, "undo")
    cancel_session(session=edited, reason={"en": "Ill"})
    page = text(organizer, page_of(edited))
    assert "<li>It was canceled.</li>" in page
    assert "The reason for canceling is removed." in page


def test_page_without_pending_notices(organizer, opening):
    assert "No changes are waiting to be announced." in text(organizer, page_of(opening))


def test_hold_is_logged_and_offers_release(organizer, edited):
    said = press(organizer, edited, "hold")
    assert said == [
        ("success", "New title: Emails about changes are on hold."),
        ("info", "The emails about this to 2 people are on hold until you release them."),
    ]
    assert history() == ["Emails about changes are on hold."]
    page = text(organizer, page_of(edited))
    assert "On hold</b> No one gets an email about this until you release it." in page
    assert 'value="release"' in page
    assert 'value="hold"' not in page


def test_release(organizer, edited):
    hold_notices(session=edited)
    said = press(organizer, edited, "release")
    assert said[1][1].startswith("2 people get an email about this at 4:14 PM PDT")
    assert history() == ["Emails about changes are no longer on hold."]
    assert now_of(edited).notices_held_at is None


def test_send_now(organizer, edited):
    said = press(organizer, edited, "now")
    assert said[1] == ("info", "2 people get an email about this right away.")
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="changed").count() == 2
    assert history() == ["Emails about the last change are going out now."]


def test_undo(organizer, opening, edited):
    said = press(organizer, edited, "undo")
    assert said == [
        ("success", f"{opening}: {UNDONE}"),
        ("info", "No one gets an email about this."),
    ]
    after = now_of(edited)
    assert (after.title, after.starts_at) == (opening.title, opening.starts_at)
    assert history() == [UNDONE]


def test_undo_says_what_it_left(organizer, opening, edited):
    with edit_session(edited.pk):
        AgendaItem.objects.create(session=edited, title="A new item")
        edited.meeting.passcode = "new"
        edited.meeting.save()
    said = press(organizer, now_of(edited), "undo")
    rest = (
        "Undo doesn't cover this: The agenda was changed. "
        "The meeting ID, passcode or phone numbers were changed."
    )
    assert said[0] == ("success", f"{opening}: {UNDONE} {rest}")
    assert history() == [f"{UNDONE} {rest}"]


def take_address(session: Session, other: Session) -> None:
    """Give a session a new address, and another one its old one."""
    old = session.slug
    with edit_session(session.pk) as current:
        current.slug = "new"
        current.save()
    Session.objects.filter(pk=other.pk).update(slug=old)


def test_undo_does_not_cover_an_address_that_another_session_has(organizer, opening, later, edited):
    take_address(edited, later)
    page = text(organizer, page_of(edited))
    kept = f"Another session has the address “{opening.slug}” now."
    assert f"<li>{kept}</li>" in page
    assert "The address stays: another session has the old one now." in page
    said = press(organizer, now_of(edited), "undo")
    assert said[0] == (
        "success",
        f"{opening.title}: The title, time, summary and status are what people were last told. "
        f"Undo doesn't cover this: {kept}",
    )
    assert (now_of(edited).slug, now_of(edited).title) == ("new", opening.title)


def test_address_that_another_session_has_is_nothing_to_undo(organizer, edited, later):
    press(organizer, edited, "undo")
    take_address(now_of(edited), later)
    # Something else that undo doesn't cover.
    with edit_session(edited.pk):
        AgendaItem.objects.create(session=edited, title="A new item")
    page = text(organizer, page_of(edited))
    assert 'value="hold"' in page
    assert 'value="undo"' not in page


def test_undone_restoring_asks_for_the_reason_again(organizer, edited):
    cancel_session(session=edited, reason={"en": "Ill"})
    told_at = NOW + dt.timedelta(minutes=20)
    with time_machine.travel(told_at, tick=False):
        tasks.queue_due_mails()
    OutgoingMail.objects.update(state="sent", sent_at=told_at, claimed_at=told_at)
    with time_machine.travel(told_at + dt.timedelta(minutes=1), tick=False):
        organizer.force_login(User.objects.get(is_superuser=True))
        restore_session(session=edited)
        page = text(organizer, page_of(edited))
        assert "It's canceled again, but without its reason" in page
        said = press(organizer, now_of(edited), "undo")
    assert "It's canceled without a reason: enter it again on the session's page." in said[0][1]
    assert now_of(edited).is_canceled


def test_page_says_that_the_meeting_of_a_held_canceled_session_stays(organizer, week, edited):
    stays = "We keep its Zoom meeting until the emails go out"
    cancel_session(session=edited)
    hold_notices(session=edited)
    assert stays not in text(organizer, page_of(edited))
    type(week).objects.update(zoom_mode="shared")
    assert stays in text(organizer, page_of(edited))
    schedule.release_notices(session=edited)
    assert stays not in text(organizer, page_of(edited))


@pytest.mark.parametrize("button", ["now", "undo", "release"])
def test_button_on_an_old_page_does_nothing(organizer, edited, button):
    hold_notices(session=edited)
    said = press(organizer, edited, button, revision=0)
    assert said == [
        ("warning", "“New title” was just edited, so nothing was done. Please check it again.")
    ]
    after = now_of(edited)
    assert (after.title, after.notices_held_at) == ("New title", NOW)
    assert history() == []


def test_second_of_two_organizers_changes_nothing(organizer, edited):
    press(organizer, edited, "hold")
    ((color, said),) = press(organizer, edited, "hold")
    assert (color, said.startswith("Nothing was done")) == ("warning", True)
    assert len(history()) == 1


def test_time_that_has_passed_is_not_set_back(organizer, edited):
    edited.revisions.update(starts_at=NOW - dt.timedelta(hours=1), ends_at=NOW)
    ((color, said),) = press(organizer, now_of(edited), "undo")
    assert color == "error"
    assert "the time that people were told has passed" in said
    assert now_of(edited).title == "New title"


def test_wrong_requests(organizer, week, edited):
    url = page_of(edited)
    assert organizer.post(url, {"do": "nothing"}).status_code == 400
    assert organizer.post(url, {"do": "hold", "session": "x"}).status_code == 404
    assert organizer.get("/admin/events/session/notices/12345/").status_code == 404


def test_only_people_who_may_change_sessions_press_buttons(edited):
    client = client_of(member("view_session"))
    page = text(client, page_of(edited))
    assert "New title" in page
    assert 'value="hold"' not in page
    assert "See the email" not in page
    fields = {"session": edited.pk, "revision": edited.revision, "do": "hold"}
    assert client.post(page_of(edited), fields).status_code == 403
    assert now_of(edited).notices_held_at is None
    other = client_of(member("view_registration", name="other"))
    assert other.get(page_of(edited)).status_code == 403
    # A GET changes nothing.
    client_of(member("view_session", "change_session", name="third")).get(page_of(edited), fields)
    assert now_of(edited).notices_held_at is None


def test_email_is_shown_as_one_of_the_people_gets_it(organizer, edited):
    url = f"/admin/registrations/outgoingmail/notice/{edited.pk}/"
    page = text(organizer, url)
    assert "Preview for Alice Adams" in page
    assert "New title" in page
    assert f'src="{url}html/?in=en"' in page
    assert '<html lang="es"' in organizer.get(f"{url}html/?in=es").text
    answer = organizer.get(f"{url}html/?in=en")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "New title" in answer.text
    token = edited.seats.first().registration.token
    assert token not in page + answer.text


def test_agenda_email_is_shown_too(organizer, edited):
    press(organizer, edited, "undo")
    with edit_session(edited.pk):
        AgendaItem.objects.create(session=edited, title="A new item")
    page = text(organizer, f"/admin/registrations/outgoingmail/notice/{edited.pk}/")
    assert "Schedule update" in page
    assert "A new item" in page


def test_email_that_no_one_gets_is_not_shown(organizer, opening):
    url = f"/admin/registrations/outgoingmail/notice/{opening.pk}/"
    assert "No changes to this session are waiting to be announced." in text(organizer, url)
    assert organizer.get(f"{url}html/").status_code == 404


def test_email_is_shown_to_those_who_may_see_emails(edited):
    client = client_of(member("view_session", "change_session"))
    url = f"/admin/registrations/outgoingmail/notice/{edited.pk}/"
    assert [client.get(each).status_code for each in (url, f"{url}html/")] == [403, 403]


def test_email_status_lists_pending_notices(organizer, edited):
    page = text(organizer, STATUS)
    link = f'<a href="{page_of(edited)}">New title</a>'
    assert f"<dt>2 people</dt><dd>{link} in 10 minutes, Sep 1, 2026, 4:14 PM PDT</dd>" in page
    hold_notices(session=edited)
    assert f'{link} <b class="warning">On hold</b></dd>' in text(organizer, STATUS)
