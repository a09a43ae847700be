"""The organizers' desk: what it shows to whom, of which week, and what it costs."""

import datetime as dt
import html
import re

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from events.load_week import load_strategy_week
from events.models import Event, Meeting, Session, ZoomAccount
from registrations.models import Attendance, Heartbeat, OutgoingMail, Registration
from tests.people import a_saturday_ahead, in_english, sign_up
from tests.registrations.mail.change_notices.edits import move
from tests.registrations.readiness.people import crowd, mailed, queries

pytestmark = pytest.mark.django_db

HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


def page_of(client, query: str = "") -> str:
    answer = client.get(f"/admin/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def text_of(client, query: str = "") -> str:
    """The text of the desk, without Django's list of apps."""
    page = page_of(client, query).partition('<div class="desk">')[2]
    page = page.partition('<div id="content-main"')[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def weeks(client, query: str = "") -> list[str]:
    page = page_of(client, query)
    return re.findall(r'<h2 class="desk__title"[^>]*>([^<]*)</h2>', page)


@pytest.fixture
def helper(client, django_user_model):
    """The browser of someone who may view the models with these names."""

    def helper(*models: str):
        user = django_user_model.objects.create_user("h", "h@example.org", "x", is_staff=True)
        names = [f"view_{model}" for model in models]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return helper


@pytest.fixture
def running(week) -> Event:
    """Another week, whose first session is on."""
    event = load_strategy_week(starting=a_saturday_ahead() + dt.timedelta(weeks=4)).event
    Event.objects.filter(pk=event.pk).update(slug="running", **in_english(name="Running now"))
    start(event)
    return event


def start(event: Event) -> None:
    first, now = event.sessions.first(), timezone.now()
    Session.objects.filter(pk=first.pk).update(starts_at=now - HOUR, ends_at=now + HOUR)


def test_what_to_do_comes_first_with_one_button_each(organizer, week, opening):
    Meeting.objects.filter(session=opening).delete()
    for process in Heartbeat.Process:
        Heartbeat.objects.create(process=process, seen_at=timezone.now())
    page, shown = page_of(organizer), text_of(organizer)
    assert shown.startswith(f"{week} What to do now 1 session has no Zoom link. ")
    tasks = re.findall(r'<li class="task">(.*?)</li>', page, re.DOTALL)
    assert tasks
    assert {task.count("<a ") for task in tasks} == {1}
    url = f"/admin/events/session/{opening.pk}/change/#meeting-group"
    assert f'href="{url}">Add the link</a>' in tasks[0]
    assert shown.index("What to do now") < shown.index("Next: ") < shown.index("Numbers")
    assert page.index('class="desk"') < page.index('id="content-main"')


def test_it_says_if_nothing_is_to_do(organizer, week):
    for session in week.sessions.all():
        session.hosts.set(week.speakers.all()[:1] or [week.speakers.create(name_en="Dora")])
        if not session.agenda.exists():
            session.agenda.create(minutes=10, title_en="Welcome")
    assert "What to do now Nothing right now. You're all set." in text_of(organizer)


def test_session_that_is_on_shows_who_is_there(organizer, admin_user, week, opening):
    alice, bob = mailed(sign_up(week)), mailed(sign_up(week, "Bob B"), "bounced")
    assert "In the meeting" not in text_of(organizer)
    assert "Opened their link" not in text_of(organizer)
    then = opening.starts_at + MINUTE
    Meeting.objects.filter(session=opening).update(state="made", zoom_id=1, started_at=then)
    Event.objects.update(zoom_mode="shared")
    alice.seats.filter(session=opening).update(opened_at=then)
    stays = [(then, None), (then, then + MINUTE), (None, None)]
    for number, (joined_at, left_at) in enumerate(stays):
        Attendance.objects.create(
            session=opening,
            instance_uuid="x",
            participant_id=number,
            joined_at=joined_at,
            left_at=left_at,
        )
    with time_machine.travel(opening.starts_at + 2 * MINUTE):
        organizer.force_login(admin_user)
        shown = text_of(organizer)
        page = page_of(organizer)
    assert f"Now: {opening.title}" in shown
    assert (
        "Expected 2 In the meeting 1 Opened their link 1 Without a working link 1 See who" in shown
    )
    board = f"/admin/registrations/registration/readiness/{week.pk}/"
    assert f'href="{board}?session={opening.pk}&amp;state=no-link#people"' in page
    assert f'<a href="{board}?session={opening.pk}&amp;state=attended#people">1</a>' in page
    # And those who are expected.
    assert page.count(f'<a href="{board}?session={opening.pk}#people">') == 2
    assert bob.seats.filter(session=opening, opened_at=None).exists()


def test_week_is_chosen_by_its_number(organizer, week):
    other = Event.objects.create(slug="other", host="Us", **in_english(name="Other week"))
    assert weeks(organizer) == [str(week)]
    assert weeks(organizer, f"?event={other.pk}") == ["Other week"]
    for unknown in ("0", "x", "", "999999999999999999999"):
        assert weeks(organizer, f"?event={unknown}") == [str(week)]
    page = page_of(organizer, f"?event={other.pk}")
    assert f'<option value="{other.pk}" selected>Other week</option>' in page
    assert f'<option value="{week.pk}">{week}</option>' in page


def test_the_only_week_needs_no_switch(organizer, week):
    assert "Show another week" not in text_of(organizer)


def test_weeks_that_run_at_once_are_all_shown(organizer, week, running):
    assert weeks(organizer) == ["Running now"]
    start(week)
    assert sorted(weeks(organizer)) == sorted([str(week), "Running now"])
    assert weeks(organizer, f"?event={week.pk}") == [str(week)]
    Event.objects.filter(pk=running.pk).update(status="draft", contact_email="")
    assert weeks(organizer) == [str(week)]


def test_without_an_event_it_says_how_to_begin(organizer, helper):
    shown = page_of(organizer)
    assert "There's no week yet" in html.unescape(shown)
    assert 'href="/admin/events/event/create/">Create your week</a>' in shown
    shown = page_of(helper("registration"))
    assert "There's no week yet" in html.unescape(shown)
    assert "Create your week" not in shown


def test_without_any_permission_it_is_djangos_page(helper, week):
    client = helper()
    assert text_of(client) == ""
    assert "You don’t have permission to view or edit anything." in page_of(client)


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        (["session"], ["What to do now", "no Zoom link", "Zoom meetings"]),
        (
            ["registration"],
            ["What to do now", "getting our emails", "Next: ", "Registrations in all", "By state"],
        ),
        (["seat"], ["Spots and waitlists"]),
        (["outgoingmail"], ["What to do now", "email failed", "Emails in the last", "running"]),
        (["accessneed"], ["What to do now", "access need"]),
        (["event"], ["What to do now"]),
    ],
)
def test_sections_are_about_what_someone_may_view(helper, week, opening, models, shown):
    Meeting.objects.filter(session=opening).delete()
    mailed(sign_up(week, us_state="CA", needs=["asl"]), "failed")
    bob = mailed(sign_up(week, "Bob B"))
    OutgoingMail.objects.create(key="x", kind="reminder", registration=bob, state="failed")
    mailed(bob, kind="links")
    OutgoingMail.objects.create(
        key="y", kind="reminder", registration=bob, state="sent", sent_at=timezone.now()
    )
    text = text_of(helper(*models))
    parts = [
        *("What to do now", "no Zoom link", "access need", "getting our emails", "email failed"),
        *("Next: ", "Registrations in all", "By state", "Spots and waitlists"),
        *("Emails in the last", "running", "Zoom meetings"),
    ]
    assert {part for part in parts if part in text} == set(shown)


def test_buttons_are_for_those_who_may_change_what_they_lead_to(helper, week, opening):
    Meeting.objects.filter(session=opening).delete()
    client = helper("session")
    assert "1 session has no Zoom link." in text_of(client)
    assert "Add the link" not in text_of(client)
    user = User.objects.get(username="h")
    user.user_permissions.add(*Permission.objects.filter(codename="change_session"))
    assert "Add the link" in text_of(client)


def test_it_works_and_says_so_when_email_and_zoom_are_down(organizer, week, settings):
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    Event.objects.update(zoom_mode="shared")
    ZoomAccount.objects.create(problem="Zoom didn't answer.", problem_since=timezone.now())
    sign_up(week)
    OutgoingMail.objects.update(last_error="ConnectionRefusedError: [Errno 111] Connection refused")
    shown = text_of(organizer)
    assert "We haven't been able to reach Zoom since" in shown
    assert "1 email is waiting because we can't use the email server." in shown
    assert "Worker: not running Scheduler: not running" in shown
    assert "Registrations in all 1" in shown
    for process in Heartbeat.Process:
        Heartbeat.objects.create(process=process, seen_at=timezone.now())
    assert "Worker: running Scheduler: running" in text_of(organizer)


def test_any_number_of_people_takes_the_same_queries(organizer, week, opening):
    def wide() -> int:
        """With rows for each of its parts."""
        Registration.objects.update(us_state="CA", organization="Us", approval="approved")
        return queries(lambda: organizer.get("/admin/"))

    Session.objects.filter(pk=opening.pk).update(capacity=1)
    crowd(week, 3)
    organizer.get("/admin/")
    few = wide()
    crowd(week, 60)
    assert wide() == few <= 60


def test_changed_session_takes_at_most_three_queries(organizer, week):
    mailed(sign_up(week))
    first, *others = week.sessions.all()
    move(first, hours=1)
    organizer.get("/admin/")
    one = queries(lambda: organizer.get("/admin/"))
    for session in others:
        move(session, hours=1)
    assert "6 sessions were changed" in text_of(organizer)
    assert queries(lambda: organizer.get("/admin/")) <= one + 3 * len(others)


def test_fifty_weeks_take_the_same_queries_as_two(organizer, week):
    def add(count: int) -> None:
        for _number in range(count):
            slug = f"week-{Event.objects.count()}"
            Event.objects.create(slug=slug, host="Us", **in_english(name=slug))

    add(1)
    organizer.get("/admin/")
    few = queries(lambda: organizer.get("/admin/"))
    add(48)
    assert queries(lambda: organizer.get("/admin/")) == few
    assert page_of(organizer).count("<option") == 50


def test_desk_leads_to_the_page_of_the_week(organizer, week):
    assert f'<a href="/admin/events/event/{week.pk}/week/">' in page_of(organizer)


def test_someone_who_may_not_see_sessions_is_not_led_to_them(helper, week):
    assert "/week/" not in page_of(helper("outgoingmail"))


def test_someone_who_sees_sessions_is_led_to_them(helper, week):
    assert "/week/" in page_of(helper("outgoingmail", "session"))
