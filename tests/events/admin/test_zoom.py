"""Zoom in the admin: meetings that the site creates, problems, and what organizers can do."""

import datetime as dt
import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import expect

from events.admin.session import SessionAdmin
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import status as zoom_status
from events.zoom import sync
from tests.admin_pages import act_surely, form_of, path
from tests.axe import findings
from tests.browser import PHONE, overflow
from tests.events.test_invitations import INVITATION, LINK
from tests.fake_zoom import FakeZoom
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NOW = dt.datetime(2030, 10, 16, 18, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
LONG_AGO = dt.datetime(2020, 10, 16, 16, tzinfo=dt.UTC)
PAST = {"starts_at": LONG_AGO, "ends_at": LONG_AGO + HOUR}
NO_CREDENTIALS = (
    "The site has no Zoom credentials. The owner of your site can enter them under “Set up”. "
    "Until then, paste the links."
)


@pytest.fixture
def credentials(settings) -> None:
    """Credentials of a fake Zoom that is not running."""
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    settings.ZOOM_API_URL, settings.ZOOM_IS_FAKE = "http://127.0.0.1:1/v2", True


@pytest.fixture
def shared(week: Event, credentials: None) -> Event:
    """The week with a synced meeting at Zoom for each session."""
    Event.objects.update(zoom_mode=Event.ZoomMode.SHARED)
    for session in week.sessions.with_details():
        session.meeting.zoom_id = 81234567890 + session.pk
        session.meeting.state = Meeting.State.MADE
        session.meeting.synced_spec = {**sync.spec(session), "captions": True}
        session.meeting.save()
    week.refresh_from_db()
    return week


@pytest.fixture
def made(shared: Event, zoom_account: FakeZoom) -> Event:
    """The first session and its meeting, at a fake Zoom."""
    Meeting.objects.all().delete()
    shared.sessions.exclude(pk=shared.sessions.first().pk).delete()
    sync_now()
    return shared


@pytest.fixture
def viewer(client, django_user_model):
    """A client of someone who may view everything, and change nothing."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


def sync_now() -> None:
    """Sync several times, without the usual pauses."""
    for _tick in range(3):
        ZoomAccount.objects.update(resumes_at=timezone.now())
        Meeting.objects.update(due_at=timezone.now(), checked_at=None)
        sync.sync_meetings()


def first(event: Event) -> Session:
    return Session.objects.select_related("event", "meeting").get(pk=event.sessions.first().pk)


def change(session: Session, **changes) -> Session:
    """Change columns that workers and webhooks write, and return the session."""
    Meeting.objects.filter(session=session).update(**changes)
    return first(session.event)


def text(client, url: str) -> str:
    """Return the text of a page, without tags."""
    answer = client.get(url, follow=True)
    assert answer.status_code == 200
    return page_text(answer)


def page_text(answer) -> str:
    page = answer.content.decode().partition('<main id="content-start"')[2]
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("&#x27;", "'").split())


def button(session: Session) -> str:
    return path(session).replace("/change/", "/zoom/")


def list_text(session: Session) -> str:
    """What the list of sessions says under "Zoom link"."""
    return re.sub(r"<[^>]+>", "", SessionAdmin(Session, admin.site).link(session))


# The event


@pytest.mark.parametrize("mode", ["shared", "personal"])
def test_without_credentials_only_pasted_links_can_be_chosen(admin_client, week, mode):
    form = form_of(admin_client, path(week))
    answer = admin_client.post(path(week), {**form, "zoom_mode": mode})
    assert answer.context["adminform"].form.errors == {"zoom_mode": [NO_CREDENTIALS]}


def test_event_can_be_edited_after_the_credentials_were_removed(admin_client, week):
    Event.objects.update(zoom_mode="shared")
    form = form_of(admin_client, path(week))
    assert admin_client.post(path(week), {**form, "name_en": "Another"}).status_code == 302
    week.refresh_from_db()
    assert (week.name, week.zoom_mode) == ("Another", "shared")


def test_organizer_can_choose_to_have_meetings_created(admin_client, week, credentials):
    form = form_of(admin_client, path(week))
    filled = {**form, "zoom_mode": "personal", "zoom_waiting_room": "on"}
    answer = admin_client.post(path(week), filled, follow=True)
    assert "We'll create the Zoom meetings in about a minute." in page_text(answer)
    week.refresh_from_db()
    assert (week.zoom_mode, week.zoom_waiting_room) == ("personal", True)


def test_going_back_to_pasted_links_explains_what_happens_to_the_links(admin_client, shared):
    link = first(shared).join_url
    form = form_of(admin_client, path(shared))
    answer = admin_client.post(path(shared), {**form, "zoom_mode": "pasted"}, follow=True)
    assert "stay in Zoom with the same links" in page_text(answer)
    assert "turn registration off" not in page_text(answer)
    assert first(shared).join_url == link


def test_going_back_from_personal_links_explains_that_zoom_asks_to_register(admin_client, shared):
    Event.objects.update(zoom_mode="personal")
    form = form_of(admin_client, path(shared))
    answer = admin_client.post(path(shared), {**form, "zoom_mode": "pasted"}, follow=True)
    assert "Turn off registration in Zoom" in page_text(answer)


def test_going_back_without_any_meeting_explains_nothing(admin_client, week, credentials):
    Event.objects.update(zoom_mode="shared")
    form = form_of(admin_client, path(week))
    answer = admin_client.post(path(week), {**form, "zoom_mode": "pasted"}, follow=True)
    assert "stay in Zoom" not in page_text(answer)


def test_viewers_see_the_pages(viewer, shared):
    assert "Zoom links" in text(viewer, path(shared))
    assert first(shared).join_url in viewer.get(path(first(shared))).content.decode()


# A session


def test_created_meeting_is_read_only(admin_client, shared):
    session = first(shared)
    page = admin_client.get(path(session)).content.decode()
    for shown in (session.join_url, session.meeting.meeting_id, session.meeting.passcode):
        assert shown.replace("&", "&amp;") in page
    assert "Up to date" in page
    fields = form_of(admin_client, path(session))
    assert {name for name in fields if name.startswith("meeting-0-")} == {
        "meeting-0-id",
        "meeting-0-session",
        "meeting-0-dial_in",
    }


def test_saving_dial_in_numbers_changes_nothing_else_of_the_meeting(admin_client, shared):
    session = first(shared)
    form = form_of(admin_client, path(session))
    form["meeting-0-dial_in"] = "+1 669 900 6833"

    def worker(**kwargs) -> None:
        change(session, join_url="https://zoom.us/j/99", attempts=7)

    pre_save.connect(worker, sender=Meeting)
    try:
        answer = admin_client.post(path(session), form, follow=True)
    finally:
        pre_save.disconnect(worker, sender=Meeting)
    assert "people get an email about a new phone number" in page_text(answer)
    meeting = first(shared).meeting
    assert meeting.dial_in == "+1 669 900 6833"
    assert (meeting.join_url, meeting.attempts) == ("https://zoom.us/j/99", 7)


def test_saving_a_session_shows_the_status_of_its_meeting(admin_client, week, credentials):
    Meeting.objects.all().delete()
    Event.objects.update(zoom_mode="shared")
    session = first(week)
    assert "We'll create it within a minute" in text(admin_client, path(session))
    form = {**form_of(admin_client, path(session)), "meeting-INITIAL_FORMS": "0"}
    answer = admin_client.post(path(session), form, follow=True)
    assert f"Zoom meeting for “{session}”: We'll create it within a minute" in page_text(answer)
    assert not Meeting.objects.filter(session=session).exists()


def test_new_session_has_no_link_field_when_meetings_are_created(admin_client, shared):
    page = admin_client.get(f"{path(Session, 'add')}?event={shared.pk}").content.decode()
    assert "create it within a minute after you save" in page
    assert "meeting-0-join_url" not in page


def test_pasted_links_can_be_entered(admin_client, week, credentials):
    assert "meeting-0-join_url" in form_of(admin_client, path(first(week)))
    assert "meeting-0-join_url" in admin_client.get(path(Session, "add")).content.decode()
    assert "At Zoom" not in text(admin_client, path(first(week)))


def in_memory(meeting: dict, session: dict) -> Session:
    """Return an unsaved upcoming session with a meeting at Zoom, with these changes."""
    event = Event(name="Week", zoom_mode=Event.ZoomMode.SHARED)
    now = timezone.now()
    found = Session(event=event, title="Opening", starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    link = {"state": "made", "zoom_id": 1, "join_url": "https://zoom.us/j/1"}
    synced_spec = {**sync.spec(found), "captions": True}
    found.meeting = Meeting(**{**link, "synced_spec": synced_spec, **meeting})
    for name, value in session.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("meeting", "session", "text"),
    [
        ({}, {}, "Up to date"),
        ({}, {"title": "Renamed"}, "Updating"),
        ({"synced_spec": None}, {}, "Updating"),
        ({"problem": "No captions."}, {}, "Created, with a problem"),
        ({}, {"canceled_at": NOW}, "The session is canceled. We'll delete the Zoom meeting soon"),
        ({}, PAST, "The session is over"),
        ({"state": "gone"}, {}, "Someone deleted this meeting in Zoom"),
        ({"state": "wanted"}, {}, "We'll create it within a minute"),
        ({"state": "pasted"}, {}, "We'll create it within a minute"),
        (
            {"state": "wanted", "problem": "No."},
            {},
            "Not created yet. We'll try again automatically",
        ),
        ({"state": "wanted"}, {"status": "draft"}, "We'll create it when you publish the session"),
        ({"state": "wanted"}, {"canceled_at": NOW}, "The session is canceled"),
        ({"state": "wanted"}, PAST, "The session is over"),
    ],
)
def test_meeting_status_says_where_a_meeting_stands(credentials, meeting, session, text):
    status = zoom_status.meeting_status(in_memory(meeting, session), timezone.now())
    assert status.text == text
    assert status.is_problem == bool("problem" in meeting or meeting.get("state") == "gone")


def test_meeting_status_while_zoom_is_away(credentials):
    ZoomAccount.objects.create(problem="Away.", resumes_at=timezone.now() + HOUR)
    text = zoom_status.meeting_status(in_memory({"state": "wanted"}, {}), timezone.now()).text
    assert text == "We'll create it when we can reach Zoom again"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("made", "Created, but not updated: the site has no Zoom credentials"),
        ("wanted", "Not created: the site has no Zoom credentials"),
    ],
)
def test_meeting_status_without_credentials(state, text):
    status = zoom_status.meeting_status(in_memory({"state": state}, {}), timezone.now())
    assert (status.text, status.is_problem) == (text, True)


def test_meeting_that_took_place_shows_when(admin_client, shared):
    session = first(shared)
    change(session, started_at=session.starts_at, ended_at=session.ends_at)
    shown = text(admin_client, path(session))
    assert re.search(r"Started Saturday, \w+ \d+, 9:00 AM, ended 1:00 PM", shown)


# Deleted by hand, and problems


def test_organizer_recreates_a_meeting_that_was_deleted_at_zoom(admin_client, made, zoom_account):
    session = first(made)
    zoom_account.delete_by_hand(session.meeting.zoom_id)
    sync_now()
    shown = text(admin_client, path(session))
    assert "Someone deleted this meeting in Zoom" in shown
    assert "The join links in our emails keep working" in shown
    assert "Create a new meeting" in shown

    answer = admin_client.post(button(session), {"do": "remake"}, follow=True)
    assert "We'll create a new Zoom meeting within a minute." in page_text(answer)
    assert str(LogEntry.objects.get()) == f"Changed “{session}” — New Zoom meeting created."
    sync_now()
    again = first(made)
    assert again.meeting.zoom_id in zoom_account.meetings
    assert again.join_url not in {"", session.join_url}
    assert "Create a new meeting" not in text(admin_client, path(session))


def test_existing_meeting_is_not_recreated(admin_client, shared):
    before = first(shared).meeting
    answer = admin_client.post(button(first(shared)), {"do": "remake"}, follow=True)
    assert "Nothing was done: this meeting is still in Zoom." in page_text(answer)
    assert first(shared).meeting.zoom_id == before.zoom_id
    assert not LogEntry.objects.exists()


def test_zooms_error_is_shown_and_an_organizer_can_try_again(admin_client, shared):
    session = change(
        first(shared), problem="User does not exist: x@y.z.", due_at=timezone.now() + HOUR
    )
    assert "A problem with Zoom User does not exist: x@y.z." in text(admin_client, path(session))
    answer = admin_client.post(button(session), {"do": "try"}, follow=True)
    assert "We'll try again within a minute." in page_text(answer)
    assert first(shared).meeting.due_at <= timezone.now()


def test_buttons_need_permission_to_change_sessions(viewer, shared):
    session = change(first(shared), state="gone", problem="Gone.")
    assert "Create a new meeting" not in text(viewer, path(session))
    assert viewer.post(button(session), {"do": "remake"}).status_code == 403
    assert first(shared).meeting.state == "gone"


def test_invalid_requests_of_buttons_do_nothing(admin_client, shared):
    session = change(first(shared), state="gone")
    assert admin_client.get(button(session)).status_code == 405
    assert admin_client.post(button(session), {"do": "burn"}).status_code == 400
    assert admin_client.post("/admin/events/session/0/zoom/", {"do": "remake"}).status_code == 404
    assert first(shared).meeting.state == "gone"


def test_event_page_lists_sessions_that_need_attention(admin_client, shared):
    assert "Needs attention" not in text(admin_client, path(shared))
    session = change(first(shared), state="gone")
    shown = text(admin_client, path(shared))
    assert f"Something is wrong with the Zoom meetings of these sessions: {session}" in shown


# The lists


UNMADE = {"state": "wanted", "join_url": ""}


@pytest.mark.parametrize(
    ("meeting", "session", "label"),
    [
        ({}, {}, "Ready"),
        (UNMADE, {}, "Being created"),
        (UNMADE, {"status": "draft"}, "Not created yet"),
        ({"state": "gone"}, {}, "Deleted in Zoom"),
        ({"problem": "No."}, {}, "Ready, with a problem"),
        ({**UNMADE, "problem": "No."}, {}, "Not created: a problem"),
        ({"state": "gone"}, {"canceled_at": NOW}, "-"),
        (UNMADE, PAST, "-"),
        ({"started_at": timezone.now()}, {}, "Running now"),
        ({"started_at": LONG_AGO, "ended_at": NOW}, PAST, "Ended"),
    ],
)
def test_list_shows_the_status_of_each_link(credentials, meeting, session, label):
    assert list_text(in_memory(meeting, session)) == label


def test_running_session_is_highlighted_in_the_list(credentials):
    running = in_memory({"started_at": timezone.now()}, {})
    assert 'class="badge' in SessionAdmin(Session, admin.site).link(running)


def test_list_shows_that_the_site_has_no_credentials():
    assert list_text(in_memory(UNMADE, {})) == "No Zoom credentials"


def test_list_says_nothing_of_what_runs_where_links_are_pasted():
    session = in_memory({"started_at": timezone.now()}, {})
    session.event.zoom_mode = Event.ZoomMode.PASTED
    assert list_text(session) == "Ready"


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [
        (None, None, "The session is over"),
        (NOW - HOUR, None, "Running since 10:00 AM"),
        (NOW - 31 * HOUR, None, "The session is over"),
        (NOW - HOUR, NOW, "Ended at 11:00 AM"),
        # A rehearsal.
        (NOW - 3 * HOUR, NOW - 3 * HOUR, "The session is over"),
    ],
)
def test_status_says_since_when_a_meeting_is_running_or_has_ended(started, ended, expected):
    times = {"starts_at": NOW - 2 * HOUR, "ends_at": NOW}
    session = in_memory({"started_at": started, "ended_at": ended}, times)
    assert zoom_status.meeting_status(session, NOW).text == expected


def attention(client) -> list[Session]:
    answer = client.get(path(Session, "changelist"), {"link": "attention"})
    return list(answer.context["cl"].result_list)


def test_filter_finds_sessions_that_need_attention(admin_client, shared, settings):
    gone, refused, unmade, over, canceled, _well = shared.sessions.all()
    Meeting.objects.filter(session=gone).update(state="gone")
    Meeting.objects.filter(session__in=[refused, over, canceled]).update(problem="No.")
    Meeting.objects.filter(session=unmade).update(state="wanted", join_url="")
    Session.objects.filter(pk=over.pk).update(
        starts_at=NOW - 99999 * HOUR, ends_at=NOW - 99998 * HOUR
    )
    act_surely(admin_client, "cancel", canceled)
    assert attention(admin_client) == [gone, refused]
    assert "2 need attention" in text(admin_client, path(Event, "changelist"))
    settings.ZOOM_ACCOUNT_ID = ""
    assert attention(admin_client) == [gone, refused, unmade]
    Event.objects.update(zoom_mode="pasted")
    assert attention(admin_client) == [unmade]


def test_list_of_events_shows_the_status_of_the_links(admin_client, shared):
    assert "Ready" in text(admin_client, path(Event, "changelist"))
    session = change(first(shared), state="wanted", join_url="")
    assert "1 not created yet" in text(admin_client, path(Event, "changelist"))
    change(session, problem="No.")
    assert "1 needs attention" in text(admin_client, path(Event, "changelist"))


def test_list_takes_the_same_queries_for_1_session_as_for_6(admin_client, shared):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(path(Session, "changelist")).status_code == 200
        return len(context)

    Meeting.objects.filter(session=first(shared)).update(state="wanted", join_url="")
    six = queries()
    shared.sessions.exclude(pk=first(shared).pk).delete()
    assert queries() == six


# Notices


def pages(event: Event) -> list[str]:
    lists = [path(model, "changelist") for model in (Event, Session)]
    return ["/admin/", *lists, path(event), path(first(event)), path(Session, "add")]


def test_rejected_credentials_are_shown_on_every_page_about_events(
    admin_client, shared, zoom_account, settings
):
    secret, settings.ZOOM_CLIENT_SECRET = settings.ZOOM_CLIENT_SECRET, "wrong"
    sync_now()
    since = ZoomAccount.objects.get().problem_since.astimezone(shared.zone)
    for url in pages(shared):
        shown = text(admin_client, url)
        assert f"We haven't been able to reach Zoom since {since:%A, %B} {since.day}" in shown
        assert "Zoom doesn't accept our credentials" in shown
        assert "People can still register, and the links we have keep working." in shown
    settings.ZOOM_CLIENT_SECRET = secret
    sync_now()
    assert "We can't reach Zoom" not in text(admin_client, "/admin/")


def test_unreachable_zoom_is_shown(admin_client, shared, zoom_account):
    zoom_account.down()
    sync_now()
    assert "Zoom didn't answer." in text(admin_client, "/admin/")


def test_events_that_need_missing_credentials_are_shown(admin_client, week):
    for url in pages(week):
        assert "No Zoom credentials" not in text(admin_client, url)
    Event.objects.update(zoom_mode="shared")
    for url in pages(week):
        assert f"We can't create or change the meetings of: {week} ." in text(admin_client, url)


def test_notices_need_permission_to_view_events(client, django_user_model, shared):
    ZoomAccount.objects.create(problem="Away.")
    user = django_user_model.objects.create_user("other", "o@example.org", "x", is_staff=True)
    client.force_login(user)
    shown = text(client, "/admin/")
    assert "We can't reach Zoom" not in shown
    assert "Test mode" not in shown


def test_admin_pages_say_that_zoom_is_fake(admin_client, shared):
    for url in pages(shared):
        page = admin_client.get(url).content.decode()
        assert "Test mode: not real Zoom." in page
        assert 'href="http://127.0.0.1:1/"' in page


@pytest.mark.parametrize("name", ["ZOOM_IS_FAKE", "ZOOM_CLIENT_ID"])
def test_admin_pages_show_no_notice_for_real_zoom_or_none(admin_client, shared, settings, name):
    setattr(settings, name, "")
    assert "Test mode" not in text(admin_client, "/admin/")


def test_public_pages_say_that_zoom_is_fake(client, shared):
    for url in (shared.get_absolute_url(), sign_up(shared).get_absolute_url()):
        assert "Test mode: not real Zoom." in client.get(url).content.decode()


@pytest.mark.parametrize("name", ["ZOOM_IS_FAKE", "ZOOM_CLIENT_ID"])
def test_public_pages_show_no_notice_for_real_zoom_or_none(client, shared, settings, name):
    setattr(settings, name, "")
    for url in (shared.get_absolute_url(), sign_up(shared).get_absolute_url()):
        assert "Test mode" not in client.get(url).content.decode()


def test_event_with_pasted_links_shows_no_notice(client, week, credentials):
    assert "Test mode" not in client.get(week.get_absolute_url()).content.decode()


# In the browser


def test_recreating_a_meeting_on_a_phone(new_page, live_server, admin_client, shared):
    session = change(first(shared), state="gone", problem="Gone.")
    ZoomAccount.objects.create(problem="Away.", problem_since=timezone.now())
    page = new_page(**PHONE | {"viewport": {"width": 360, "height": 740}}, color_scheme="dark")
    cookie = {"name": "sessionid", "value": admin_client.cookies["sessionid"].value}
    page.context.add_cookies([{**cookie, "url": live_server.url}])
    page.goto(path(session))
    assert findings(page, ".trial", ".alarm", ".panel", "#meeting-group .readonly") == []
    assert overflow(page) == 0
    page.get_by_role("button", name="Create a new meeting").click()
    expect(page.get_by_text("We'll create a new Zoom meeting within a minute.")).to_be_visible()
    assert first(shared).meeting.state == "wanted"


# Pasting links


def pasted_page(admin_client, week, asked: str = "", **fields: str) -> tuple[Session, str]:
    """Post the page of the first session with these fields of its meeting."""
    session = first(week)
    form = form_of(admin_client, path(session))
    entered = {f"meeting-0-{name}": value for name, value in fields.items()}
    entered["asked"] = asked
    return session, admin_client.post(path(session), form | entered).content.decode()


def test_host_link_is_rejected_on_the_page(admin_client, week):
    link = "https://us02web.zoom.us/s/81234567890?zak=abc"
    session, page = pasted_page(admin_client, week, join_url=link)
    assert "for one person only" in page
    assert first(week).join_url == session.join_url != link


def test_pasted_invitation_fills_in_the_rest(admin_client, week):
    pasted_page(admin_client, week, join_url=INVITATION, passcode="typed")
    meeting = first(week).meeting
    assert meeting.join_url == LINK
    assert (meeting.meeting_id, meeting.passcode) == ("812 3456 7890", "typed")
    assert meeting.dial_in == "+1 669 900 6833 US (San Jose)\n+1 253 215 8782 US (Tacoma)"


def test_link_to_another_site_is_asked_about_once(admin_client, week):
    link = "https://meet.example.com/room"
    session, page = pasted_page(admin_client, week, join_url=link)
    assert "leads to meet.example.com, not to Zoom" in page
    assert f'name="asked" value="other_site {link}"' in page
    assert first(week).join_url == session.join_url
    other = {"join_url": "https://other.example/", "asked": f"other_site {link}"}
    assert "leads to other.example" in pasted_page(admin_client, week, **other)[1]
    pasted_page(admin_client, week, join_url=link, asked=f"other_site {link}")
    assert first(week).join_url == link
    pasted_page(admin_client, week, passcode="new")
    assert first(week).meeting.passcode == "new"


def test_viewers_see_a_pasted_link(viewer, week):
    page = viewer.get(path(first(week))).content.decode()
    assert first(week).join_url in page
