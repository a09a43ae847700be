"""What organizers have to do now: each thing, where its button leads, and what is most urgent."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from django.utils.translation import override

from events.models import Event, Meeting, Session
from events.schedule import cancel_session, hold_notices
from registrations import access_needs, signup
from registrations.desk import todo
from registrations.models import AccessNeed, OutgoingMail, Registration
from tests.people import in_english, published_event, sign_up
from tests.registrations.mail.change_notices.edits import move
from tests.registrations.readiness.people import mail, mailed

pytestmark = pytest.mark.django_db

HOUR, MINUTE, DAY = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(days=1)
ADMIN = "/admin/registrations"


@pytest.fixture(autouse=True)
def _prepared(week):
    """Nothing to do: every session has a link, an agenda and a host."""
    host = week.speakers.create(**in_english(name="Dora Host"))
    for session in week.sessions.all():
        session.hosts.add(host)
        if not session.agenda.exists():
            session.agenda.create(minutes=10, **in_english(title="Welcome"))


def tasks(event: Event, models=None) -> list[todo.Task]:
    event = Event.objects.get(pk=event.pk)
    return todo.tasks(event, timezone.now(), models or todo.models(), todo.models())


def task(event: Event) -> todo.Task:
    (found,) = tasks(event)
    return found


def listed(client, url: str) -> int:
    """How many rows the list has that a button leads to."""
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.context["cl"].result_count


def session_page(session: Session, part: str = "") -> str:
    return f"/admin/events/session/{session.pk}/change/{part}"


def test_nothing_is_to_do_for_a_prepared_week(week):
    mailed(sign_up(week))
    assert tasks(week) == []


def test_draft_leads_to_its_checklist_until_it_is_over(week, opening, admin_client):
    Event.objects.update(status="draft")
    found = task(week)
    assert found.text == "This week is a draft: only organizers see it."
    assert (found.button, found.before) == ("Publish it", opening.starts_at)
    assert admin_client.get(found.url).context["title"] == f"Publish “{week}”"
    assert tasks(week, {Session}) == []
    with time_machine.travel(week.sessions.last().ends_at):
        assert tasks(week) == []
    week.sessions.all().delete()
    assert task(week).before == todo.NEVER


def test_sessions_without_link_lead_to_where_they_are_entered(week, opening, later, admin_client):
    Meeting.objects.filter(session=later).delete()
    found = task(week)
    assert (found.number, found.text) == (1, "1 session has no Zoom link.")
    assert (found.url, found.button) == (session_page(later, "#meeting-group"), "Add the link")
    assert found.more.endswith(" at 6:00 PM. No Zoom link yet.")
    assert found.before == later.starts_at - DAY
    Meeting.objects.filter(session=opening).update(join_url="")
    found = task(week)
    assert (found.number, found.text) == (2, "2 sessions have no Zoom link.")
    assert found.button == "Add the links"
    assert found.url == f"/admin/events/event/{week.pk}/week/"
    assert "join_url" in admin_client.get(found.url).content.decode()
    assert found.more.startswith(f"First: {opening.brief_title}, Saturday, ")


def test_canceled_and_past_sessions_need_no_link(week, opening, later):
    Meeting.objects.filter(session__in=[opening, later]).delete()
    cancel_session(session=later)
    assert task(week).number == 1
    with time_machine.travel(opening.ends_at):
        assert tasks(week) == []


def test_deleted_meetings_and_those_with_a_problem_are_told_apart(week, opening, later, settings):
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    Event.objects.update(zoom_mode="shared")
    for number, session in enumerate(week.sessions.all()):
        Meeting.objects.filter(session=session).update(state="made", zoom_id=number + 1)
    assert tasks(week) == []
    Meeting.objects.filter(session=later).update(problem="Wrong host.")
    found = task(week)
    assert (found.text, found.button) == ("1 Zoom meeting has a problem.", "Fix its Zoom meeting")
    assert found.url == session_page(later, "#meeting-group")
    Meeting.objects.filter(session=opening).update(state="gone")
    first, second = tasks(week)
    assert first.text == "1 session has no Zoom link."
    assert first.more.endswith("Someone deleted this meeting in Zoom.")
    assert second == found


def test_people_who_wait_for_approval_are_counted_and_listed(week, opening, admin_client):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    Registration.objects.update(approval="pending")
    signup.cancel(registration=people[2])
    OutgoingMail.objects.all().delete()
    found = task(week)
    assert (found.number, found.text) == (2, "2 people are waiting for your approval.")
    assert (listed(admin_client, found.url), found.before) == (2, opening.starts_at)


def test_open_access_needs_are_counted_and_listed(week, opening, later, admin_client):
    mailed(sign_up(week, needs=["asl", "captions"], sessions=[later]))
    waiting = sign_up(week, "Bob B", needs=["asl"], sessions=[opening])
    waiting.seats.update(state="waiting", waiting_since=timezone.now())
    mailed(waiting)
    found = task(week)
    assert (found.number, found.text) == (2, "2 access needs to arrange or confirm.")
    assert (listed(admin_client, found.url), found.before) == (2, later.starts_at)
    assert found.more.endswith(" at 6:00 PM. Not arranged yet: 2.")
    needs = AccessNeed.objects.filter(seat__session=later)
    access_needs.arrange(needs=needs.filter(kind="asl"))
    assert task(week).more.endswith("Not arranged yet: 1.")
    access_needs.arrange(needs=needs)
    assert task(week).more == "All are arranged. Email people to confirm."
    assert listed(admin_client, task(week).url) == 2
    access_needs.confirm(needs=needs)
    OutgoingMail.objects.filter(kind="access").delete()
    assert tasks(week) == []


def test_people_whose_email_bounces_are_counted_until_one_arrives(week, opening, admin_client):
    alice = mailed(sign_up(week), "bounced")
    mailed(sign_up(week, "Bob B"), "failed")
    gone = mailed(sign_up(week, "Charlie C"), "bounced")
    signup.cancel(registration=gone)
    mailed(gone, "bounced")
    found = task(week)
    assert (found.number, found.text) == (2, "2 people aren't getting our emails.")
    assert (listed(admin_client, found.url), found.before) == (2, opening.starts_at)
    Registration.objects.filter(pk=alice.pk).update(email_changed_at=timezone.now())
    mail(alice)
    assert task(week).text == "1 person isn't getting our emails."
    with time_machine.travel(week.sessions.last().ends_at):
        assert tasks(week) == []


def test_failed_emails_to_people_who_get_others_can_be_sent_again(week, admin_client):
    alice = mailed(sign_up(week), "failed")
    mail(alice, kind="reminder")
    found = task(week)
    assert (found.number, found.text) == (1, "1 email failed.")
    assert listed(admin_client, found.url) == 1
    OutgoingMail.objects.update(created_at=timezone.now() - 14 * DAY)
    assert tasks(week) == []


def edited(session: Session) -> None:
    move(session, minutes=5)


def test_edits_are_shown_with_the_time_of_their_emails(week, later):
    for name in ("Alice A", "Bob B"):
        mailed(sign_up(week, name))
    now = timezone.now().replace(hour=17, minute=0, second=0, microsecond=0)
    with time_machine.travel(now, tick=False):
        edited(later)
        found = task(week)
        assert found.text == "1 session was changed, and people will be emailed about it."
        local = (now + 10 * MINUTE).astimezone(week.zone)
        time = f"{local:%-I:%M %p %Z}"
        assert found.more == (
            f"The emails about {later.brief_title} go out at {time}. That's 2 emails at most."
        )
        url = f"/admin/events/session/notices/{week.pk}/"
        assert (found.url, found.before) == (url, now + 10 * MINUTE)
    with time_machine.travel(now + 10 * MINUTE, tick=False):
        assert "go out within a minute" in task(week).more
    Event.objects.update(status="draft")
    with time_machine.travel(now, tick=False):
        assert task(week).button == "Publish it"


def test_held_edits_are_shown_until_they_are_released(week, later):
    mailed(sign_up(week))
    edited(later)
    hold_notices(session=later)
    found = task(week)
    assert found.more == (
        f"The emails about {later.brief_title} are on hold until you release them. "
        "That's 1 email at most."
    )
    assert found.before == Session.objects.get(pk=later.pk).starts_at


def test_sessions_that_start_soon_have_their_emails_sent_at_once(week, opening):
    mailed(sign_up(week))
    with time_machine.travel(opening.starts_at - HOUR, tick=False):
        edited(opening)
        found = task(week)
        assert "go out within a minute." in found.more
        assert found.before == timezone.now()


def test_people_who_know_the_newest_version_are_not_counted(week, opening):
    mailed(sign_up(week))
    edited(opening)
    assert task(week).number == 1
    for registration in Registration.objects.all():
        registration.seats.update(notified_revision=1)
    assert tasks(week) == []


def test_agenda_and_hosts_come_last(week, opening, later):
    opening.agenda.all().delete()
    opening.hosts.clear()
    later.hosts.clear()
    Meeting.objects.filter(session=week.sessions.last()).delete()
    assert [(each.text, each.url) for each in tasks(week)] == [
        ("1 session has no Zoom link.", session_page(week.sessions.last(), "#meeting-group")),
        ("1 session has no agenda.", session_page(opening, "#agenda-group")),
        ("2 sessions have no hosts.", session_page(opening, "#id_hosts")),
    ]


def test_spanish_times_are_followed_by_one_period(week, opening, later):
    opening.agenda.all().delete()
    with override("es"):
        assert task(week).more.endswith("\xa0m.")
        later.agenda.all().delete()
        assert task(week).more.endswith("\xa0m.")
        assert ".." not in task(week).more


def test_canceled_and_past_sessions_need_no_agenda(week, opening, later):
    for session in (opening, later):
        session.agenda.all().delete()
    cancel_session(session=later)
    assert task(week).text == "1 session has no agenda."
    with time_machine.travel(opening.ends_at):
        assert tasks(week) == []


def test_what_is_due_sooner_comes_first(week, later):
    mailed(sign_up(week), "failed")
    Meeting.objects.filter(session=later).delete()
    unreached, no_link = "1 person isn't getting our emails.", "1 session has no Zoom link."
    assert [each.text for each in tasks(week)] == [unreached, no_link]
    # The day before it's late for a link.
    sooner = later.starts_at - timezone.now() - DAY
    Session.objects.filter(pk=later.pk).update(starts_at=later.starts_at - sooner)
    later.refresh_from_db()
    assert [each.text for each in tasks(week)] == [no_link, unreached]


def test_emails_about_to_go_out_come_before_what_is_weeks_ahead(week, later):
    mailed(sign_up(week))
    Meeting.objects.filter(session=later).delete()
    edited(later)
    assert [each.text[:21] for each in tasks(week)] == [
        "1 session was changed",
        "1 session has no Zoom",
    ]


def test_only_what_someone_may_view_is_found(week, opening):
    Meeting.objects.filter(session=opening).delete()
    mailed(sign_up(week), "failed")
    assert [each.text for each in tasks(week, {Session})] == ["1 session has no Zoom link."]
    assert [each.text for each in tasks(week, {Registration})] == [
        "1 person isn't getting our emails."
    ]
    assert tasks(week, {AccessNeed}) == []


def test_pending_notices_are_for_those_who_may_see_sessions(week, later):
    mailed(sign_up(week))
    edited(later)
    assert tasks(week, {OutgoingMail}) == []
    assert [each.number for each in tasks(week, {Session})] == [1]


def test_someone_who_may_not_change_it_sees_no_button(week, later):
    mail(mailed(sign_up(week), "failed"), kind="reminder")
    edited(later)

    def buttons(*changeable) -> dict[str, str]:
        found = todo.tasks(week, timezone.now(), todo.models(), changeable)
        return {each.text: each.button for each in found}

    changed = "1 session was changed, and people will be emailed about it."
    failed = "1 email failed."
    assert buttons() == {changed: "", failed: ""}
    assert buttons(Session) == {changed: "Check, hold or undo", failed: ""}
    # Those who may change people may send their emails again.
    assert buttons(Registration) == {changed: "", failed: "See which"}


def test_another_week_has_its_own_tasks(week, opening):
    Meeting.objects.filter(session=opening).delete()
    mailed(sign_up(week), "failed")
    other = published_event(slug="other", **in_english(name="Other"))
    assert tasks(other) == []
