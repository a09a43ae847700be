"""The fix: who is emailed again, and what is asked of Zoom again."""

import pytest
import time_machine
from django.utils import timezone

from events.models import Event, Meeting, ZoomAccount
from registrations import readiness, seats, signup
from registrations.models import OutgoingMail, PersonalLink, Registration
from registrations.readiness import EmailStatus
from tests.people import sign_up
from tests.registrations.readiness.people import (
    DAY,
    HOUR,
    crowd,
    issue,
    lacking,
    long_ago,
    mail,
    mailed,
    queries,
    seat_of,
    waiting_kinds,
)

pytestmark = pytest.mark.django_db


def fixed(**expected) -> readiness.Fixed:
    nothing = {"emailed": 0, "emailed_recently": 0, "reported_spam": 0, "personal_links": 0}
    return readiness.Fixed(**{**nothing, "asks_zoom": False, **expected})


@pytest.mark.parametrize("state", ["failed", "bounced", "dropped"])
def test_fix_emails_unreached_people_again(week, opening, state):
    alice = long_ago(mailed(sign_up(week), state))
    assert readiness.fix(event=week) == fixed(emailed=1)
    assert waiting_kinds(alice) == ["links"]
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    mailed(alice, state__in=["waiting"])
    assert lacking(opening) == []
    assert not Registration.objects.unreachable().exists()


def test_fix_emails_people_who_never_got_an_email(week):
    alice = sign_up(week)
    alice.mails.all().delete()
    assert readiness.fix(event=week) == fixed(emailed=1)
    assert waiting_kinds(alice) == ["links"]


def test_fix_emails_promoted_people_whose_email_failed(week, opening):
    alice = long_ago(mailed(sign_up(week)))
    alice.seats.filter(session=opening).update(state="waiting", waiting_since=timezone.now())
    seats.promote(seat=alice.seats.get(session=opening))
    mailed(alice, "failed", kind="promoted")
    assert readiness.fix(event=week) == fixed(emailed=1)
    mailed(alice, state__in=["waiting"])
    assert lacking(opening) == []


def test_address_that_bounces_after_a_fix_has_come_back_again(week, opening):
    alice = long_ago(mailed(sign_up(week), "bounced"))
    mail(alice, "thanks", "bounced", created_at=timezone.now() - HOUR)
    readiness.fix(event=week)
    mailed(alice, "bounced", state__in=["waiting"])
    assert seat_of(alice, opening).email == EmailStatus.CAME_BACK


def test_fix_skips_people_with_a_sent_or_waiting_email(week):
    alice, bob = mailed(sign_up(week)), sign_up(week, "Bob B")
    for person in (alice, bob):
        long_ago(person)
    assert readiness.fix(event=week) == fixed()
    assert (waiting_kinds(alice), waiting_kinds(bob)) == ([], ["links"])


def test_fix_run_twice_sends_one_email(week):
    alice = long_ago(mailed(sign_up(week), "bounced"))
    readiness.fix(event=week)
    assert readiness.fix(event=week) == fixed()
    assert waiting_kinds(alice) == ["links"]


def test_fix_skips_people_who_reported_spam(week):
    alice = long_ago(mailed(sign_up(week), "complained"))
    since = Registration.objects.get().email_changed_at
    assert readiness.fix(event=week) == fixed(reported_spam=1)
    assert (waiting_kinds(alice), Registration.objects.get().email_changed_at) == ([], since)


def test_fix_skips_people_who_were_emailed_recently(week, opening):
    alice = mailed(sign_up(week), "bounced")
    assert readiness.fix(event=week) == fixed(emailed_recently=1)
    assert (waiting_kinds(alice), seat_of(alice, opening).email) == ([], EmailStatus.CAME_BACK)


def test_fix_skips_people_who_are_not_attending(week):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    for person in people:
        long_ago(mailed(person, "failed"))
    alice, bob, charlie = people
    signup.cancel(registration=alice)
    signup.decline(registrations=[bob])
    charlie.seats.update(state="waiting", waiting_since=timezone.now())
    assert readiness.fix(event=week) == fixed()


def test_fix_skips_past_sessions(week):
    alice = long_ago(mailed(sign_up(week), "failed"))
    with time_machine.travel(week.sessions.last().ends_at + HOUR):
        assert readiness.fix(event=week) == fixed()
    assert waiting_kinds(alice) == []


def test_fix_skips_other_events(week):
    long_ago(mailed(sign_up(week), "failed"))
    other = Event.objects.create(name="Other", slug="other", host="Us")
    assert readiness.fix(event=other) == fixed()


def test_fix_retries_personal_links_and_meetings(personal, opening, second):
    alice = mailed(sign_up(personal))
    refused = issue(alice, opening, "refused", problem="Invalid email.")
    later = timezone.now() + DAY
    ZoomAccount.objects.create(resumes_at=later)
    Meeting.objects.filter(session=opening).update(problem="No.", due_at=later)
    Meeting.objects.filter(session=second).update(state="gone", problem="Deleted.")
    assert readiness.fix(event=personal) == fixed(asks_zoom=True, personal_links=1)
    refused.refresh_from_db()
    meeting = Meeting.objects.get(session=opening)
    assert (refused.state, refused.problem) == ("wanted", "")
    assert meeting.due_at <= timezone.now()
    assert ZoomAccount.objects.get().resumes_at <= timezone.now()
    assert Meeting.objects.get(session=second).state == "gone"


@pytest.mark.parametrize("mode", ["pasted", "unconfigured"])
def test_fix_does_not_ask_zoom_without_meetings_or_credentials(personal, opening, settings, mode):
    issue(mailed(sign_up(personal)), opening, "refused", problem="Invalid email.")
    if mode == "pasted":
        personal.zoom_mode = mode
    else:
        settings.ZOOM_CLIENT_SECRET = ""
    later = timezone.now() + DAY
    ZoomAccount.objects.create(resumes_at=later)
    assert readiness.fix(event=personal) == fixed()
    assert ZoomAccount.objects.get().resumes_at == later
    assert PersonalLink.objects.get().state == "refused"


def test_fix_takes_the_same_queries_for_3_people_as_for_60(personal):
    crowd(personal, 3)
    few = queries(lambda: readiness.fix(event=personal))
    crowd(personal, 60)
    assert queries(lambda: readiness.fix(event=personal)) == few
    assert OutgoingMail.objects.filter(state="waiting").count() == 40
