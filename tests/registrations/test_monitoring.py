"""Whether email is sent: the page in the admin, its line on the first page, and the command."""

import datetime as dt
import re

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.db.models import Max
from django.test.utils import CaptureQueriesContext

from registrations.formatting import ago, time_left
from registrations.models import Heartbeat, OutgoingMail
from registrations.monitoring import mail_status
from registrations.outbox.delivery import RENDER_FAILED_PREFIX
from registrations.privacy import erasure
from tests.people import sign_up

pytestmark = pytest.mark.django_db

PAGE = "/admin/registrations/outgoingmail/status/"
REFUSED = "ConnectionRefusedError: [Errno 111] Connection refused"
NOW = dt.datetime(2026, 10, 1, 16, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _at_nine_in_the_morning():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def admin(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("o", "o@example.org", "x"))
    return client


@pytest.fixture
def alive(db):
    for process in Heartbeat.Process:
        Heartbeat.objects.create(process=process, seen_at=NOW - dt.timedelta(seconds=7))


@pytest.fixture
def troubled(week):
    """One email in each state that needs a look; no process is alive."""
    mails = [sign_up(week, name).mails.get() for name in ("Alice A", "Bob B", "Charlie C")]
    states = [("waiting", REFUSED), ("failed", "550 No such user"), ("bounced", "")]
    for mail, (state, error) in zip(mails, states, strict=True):
        OutgoingMail.objects.filter(pk=mail.pk).update(
            state=state,
            last_error=error,
            sent_at=NOW if state == "bounced" else None,
            created_at=NOW - dt.timedelta(hours=2),
        )


def shown(answer) -> str:
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def run_command(capsys) -> tuple[object, str]:
    """The command's exit code and output."""
    try:
        call_command("mail_status")
    except SystemExit as exit_:
        return exit_.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_page_says_that_all_is_well(admin, week, alive):
    page = shown(admin.get(PAGE))
    assert "All is well. The worker and the scheduler are running" in page
    assert "Worker running last seen: 7 seconds ago (Oct 1, 2026, 8:59 AM PDT)" in page
    assert "Waiting No emails are waiting." in page
    assert "What failed and why Nothing failed in the last 14 days." in page


def test_page_starts_with_the_complaints_and_shows_what_failed(admin, troubled):
    page = shown(admin.get(PAGE))
    assert page.index("1 email has been waiting for more than 15 minutes.") < page.index("As of")
    assert "Worker not running last seen: never" in page
    assert "Links 1 email , oldest queued 2 hours ago (Oct 1, 2026, 7:00 AM PDT)" in page
    assert "1 email ConnectionRefusedError: [Errno 111] Connection refused" in page
    assert "1 email No reason given. 1 email 550 No such user" in page
    assert "All is well" not in page


def test_page_takes_the_same_queries_for_any_number_of_failures(admin, troubled, week):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin.get(PAGE).status_code == 200
        return len(context)

    few = queries()
    for number in range(4):
        mail = sign_up(week, f"P{number} P").mails
        mail.update(state="failed", last_error=f"55{number} No")
    assert queries() == few


def test_server_errors_are_escaped(admin, troubled):
    OutgoingMail.objects.filter(state="failed").update(last_error="<script>alert(1)</script>")
    page = admin.get(PAGE).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


def test_test_emails_are_listed_like_others(admin, week, alive, capsys):
    OutgoingMail.objects.create(key="test/1", kind="test")
    OutgoingMail.objects.create(
        key="test/2", kind="test", state="failed", last_error="550 No such user"
    )
    page = shown(admin.get(PAGE))
    assert "Test announcement 1 email , oldest queued just now" in page
    assert "1 email 550 No such user" in page
    code, out = run_command(capsys)
    assert code == 0
    assert "  1 email: Test announcement  just now (Oct 1, 2026, 9:00 AM PDT)" in out
    assert "  1 email  550 No such user" in out


def test_page_is_linked_from_the_list(admin, week):
    assert PAGE in admin.get("/admin/registrations/outgoingmail/").content.decode()


def test_page_needs_permission_to_see_emails(client, django_user_model, week):
    user = django_user_model.objects.create_user("v", "v@example.org", "x", is_staff=True)
    client.force_login(user)
    assert client.get(PAGE).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_outgoingmail"))
    assert client.get(PAGE).status_code == 200


def test_page_works_without_an_event(admin):
    assert admin.get(PAGE).status_code == 200


# The admin's first page


def test_first_page_shows_complaints_only_if_there_are_any(admin, week, alive):
    assert "The site needs your attention" not in admin.get("/admin/").content.decode()
    Heartbeat.objects.filter(process="beat").delete()
    page = shown(admin.get("/admin/"))
    assert (
        "The site needs your attention The email scheduler (Celery&#x27;s beat) hasn&#x27;t been "
        "running for a minute or more. Start it."
    ) in page


def test_first_page_shows_complaints_only_with_permission_to_see_emails(
    client, django_user_model, week
):
    user = django_user_model.objects.create_user("v", "v@example.org", "x", is_staff=True)
    client.force_login(user)
    assert "The site needs your attention" not in client.get("/admin/").content.decode()


# The command


def test_command_exits_with_0_when_all_is_well(week, alive, capsys):
    code, out = run_command(capsys)
    assert (code, out) == (
        0,
        """\
Email status on Oct 1, 2026, 9:00 AM PDT
All is well.

Last seen
  Worker     7 seconds ago (Oct 1, 2026, 8:59 AM PDT)
  Scheduler  7 seconds ago (Oct 1, 2026, 8:59 AM PDT)

Emails so far
  Waiting           0
  Paused            0
  Sent              0
  Failed            0
  Came back         0
  Marked as spam    0
  No longer needed  0

Waiting, and when the oldest was queued
  nothing

What failed in the last 14 days and why
  nothing

What went wrong in the last tries of waiting emails
  nothing
""",
    )


def test_command_exits_with_1_when_there_are_complaints(troubled, capsys):
    code, out = run_command(capsys)
    assert (code, out) == (
        1,
        """\
Email status on Oct 1, 2026, 9:00 AM PDT
The email scheduler (Celery's beat) hasn't been running for a minute or more. Start it. Without it \
we can't tell whether a worker is running.
1 email is waiting because we can't use the email server. The last error was: \
ConnectionRefusedError: [Errno 111] Connection refused
1 email has been waiting for more than 15 minutes.

Last seen
  Worker     never
  Scheduler  never

Emails so far
  Waiting           1
  Paused            0
  Sent              0
  Failed            1
  Came back         1
  Marked as spam    0
  No longer needed  0

Waiting, and when the oldest was queued
  1 email: Links  2 hours ago (Oct 1, 2026, 7:00 AM PDT)

What failed in the last 14 days and why
  1 email  no reason given
  1 email  550 No such user

What went wrong in the last tries of waiting emails
  1 email  ConnectionRefusedError: [Errno 111] Connection refused
""",
    )


# Wording


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (0, "just now"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (3 * 86400, "3 days ago"),
    ],
)
def test_ago_uses_the_largest_unit(seconds, words):
    assert ago(NOW - dt.timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (dt.timedelta(seconds=20), "a moment left"),
        (dt.timedelta(seconds=45), "about 1 minute left"),
        (dt.timedelta(minutes=3), "about 3 minutes left"),
        (dt.timedelta(hours=2), "about 2 hours left"),
    ],
)
def test_time_left_is_rounded(left, words):
    assert time_left(left) == words


def complaints() -> list[str]:
    return mail_status(NOW).complaints


def waiting_mail(week, name: str = "Alice A", **fields) -> None:
    OutgoingMail.objects.filter(pk=sign_up(week, name).mails.get().pk).update(**fields)


@pytest.mark.parametrize(("timeout", "seconds"), [(15, 60), (60, 180)])
def test_worker_is_reported_when_it_has_been_silent_for_too_long(
    week, alive, settings, timeout, seconds
):
    """Longer than a mail server that hangs can keep it."""
    settings.EMAIL_TIMEOUT = timeout
    worker = Heartbeat.objects.filter(process="worker")
    silent_after = dt.timedelta(seconds=seconds)
    worker.update(seen_at=NOW - silent_after + dt.timedelta(seconds=1))
    assert complaints() == []
    worker.update(seen_at=NOW - silent_after)
    assert complaints() == [
        (
            "No email worker (the program that sends emails) has been running for a minute or "
            "more. Start one."
        )
    ]


def test_unreachable_mail_server_is_reported_at_once(week, alive):
    waiting_mail(week, last_error=REFUSED, attempts=1)
    (complaint,) = complaints()
    assert complaint.startswith("1 email is waiting because we can't use the email server.")


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (
            f"{RENDER_FAILED_PREFIX}KeyError('name')",
            [
                "1 email is waiting because of an error in this site. Ask the person who runs your "
                "server to check the worker's log."
            ],
        ),
        ("Postmark API response 422 (Unprocessable Entity)", []),
        ("452 4.2.2 Mailbox full", []),
    ],
)
def test_errors_about_single_emails_are_not_taken_for_an_unreachable_server(
    week, alive, error, complaint
):
    waiting_mail(week, last_error=error)
    assert complaints() == complaint


def test_unreachable_server_is_quoted_among_many_other_errors(week, alive):
    for name in ("Bob B", "Charlie C"):
        waiting_mail(week, name, last_error="452 4.2.2 Mailbox full")
    waiting_mail(week, last_error=REFUSED)
    assert complaints() == [
        "1 email is waiting because we can't use the email server. The last error was: "
        "ConnectionRefusedError: [Errno 111] Connection refused"
    ]


def test_server_that_has_just_accepted_an_email_is_not_unreachable(week, alive):
    waiting_mail(week, last_error=REFUSED, attempts=1)
    waiting_mail(week, "Bob B", state="sent", sent_at=NOW)
    assert complaints() == []


def test_full_mailbox_is_not_reported(week, alive):
    hours_ago = NOW - dt.timedelta(hours=5)
    waiting_mail(week, last_error="452 4.2.2 Mailbox full", created_at=hours_ago)
    assert complaints() == []


def test_email_that_was_never_attempted_is_late(week, alive):
    hours_ago = NOW - dt.timedelta(hours=5)
    waiting_mail(week, created_at=hours_ago, due_at=hours_ago)
    assert complaints() == ["1 email has been waiting for more than 15 minutes."]


@pytest.mark.parametrize(("sent_minutes_ago", "late"), [(1, 0), (20, 1)])
def test_announcement_is_late_only_if_no_email_is_sent(week, alive, sent_minutes_ago, late):
    hours_ago = NOW - dt.timedelta(hours=5)
    waiting_mail(week, created_at=hours_ago, due_at=hours_ago, priority=2)
    sent_at = NOW - dt.timedelta(minutes=sent_minutes_ago)
    waiting_mail(week, "Bob B", state="sent", sent_at=sent_at)
    assert len(complaints()) == late


def test_many_failures_in_a_day_are_reported(week, alive):
    for number in range(5):
        waiting_mail(week, f"P{number} X", state="failed", last_error="550 No such user")
    assert complaints() == ["In the last day, 5 emails failed or came back (0 sent)."]


def test_failing_erasure_is_reported_a_day_later(week, alive):
    signed_up = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    due = week.sessions.aggregate(at=Max("ends_at"))["at"] + dt.timedelta(days=90)
    erasure.erase(registration=signed_up[0])

    def complaints(moment: dt.datetime) -> list[str]:
        Heartbeat.objects.update(seen_at=moment)
        OutgoingMail.objects.all().delete()
        return mail_status(moment).complaints

    minute = dt.timedelta(minutes=1)
    assert complaints(due + erasure.OVERDUE - minute) == []
    assert complaints(due + erasure.OVERDUE) == [
        "The personal data of 2 people should have been erased more than a day ago. The worker's "
        "log says why it wasn't."
    ]
    erasure.erase_expired(due + erasure.OVERDUE)
    assert complaints(due + erasure.OVERDUE) == []
