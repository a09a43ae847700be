"""Emails go out through the server that the owner entered, and wait until there is one."""

import re

import pytest
from django.core.management import call_command

from events import site_settings
from events.site_settings import EmailServer
from registrations.checks import email_is_configured
from registrations.mail import stored_messages, writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from registrations.outbox.connection import problem_with
from tests.people import sign_up
from tests.services.process import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _production(settings):
    settings.EMAIL_URL = settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""
    settings.EMAIL_TIMEOUT = 1


def server_of(sink, **changes) -> EmailServer:
    return EmailServer(**{"host": sink.host, "port": sink.port, "security": "none", **changes})


def enter(sink, sender: str = '"Our Week" <week@example.org>') -> None:
    site_settings.save_email_server(server=server_of(sink))
    site_settings.save_sender(sender=sender)


def states() -> set[tuple[str, int, str]]:
    return set(OutgoingMail.objects.values_list("state", "attempts", "last_error"))


def test_emails_wait_until_there_is_a_server_and_a_sender(week, smtp_sink):
    sign_up(week)
    assert delivery.deliver_due(writer.writer_for) is False
    assert states() == {("waiting", 0, "")}
    site_settings.save_email_server(server=server_of(smtp_sink))
    delivery.deliver_due(writer.writer_for)
    assert states() == {("waiting", 0, "")}
    site_settings.save_sender(sender='"Our Week" <week@example.org>')
    delivery.deliver_due(writer.writer_for)
    assert states() == {("sent", 1, "")}
    (received,) = smtp_sink.messages
    assert received.sender == "week@example.org"
    assert received.message["From"] == "Our Week <week@example.org>"
    assert received.recipients == ["alice@example.org"]


def test_every_email_is_from_the_stored_sender_even_if_it_was_rendered_before(week, smtp_sink):
    enter(smtp_sink)
    sign_up(week)
    delivery.deliver_due(writer.writer_for)
    site_settings.save_sender(sender='"Señal, la Semana" <semana@example.org>')
    sign_up(week, "Bob B")
    stored_messages.queue(
        recipient="code@example.org", subject="Code", text="1", valid_for=mail_queue.lease()
    )
    delivery.deliver_due(writer.writer_for)
    first, *others = smtp_sink.messages
    assert first.message["From"].addresses[0].display_name == "Our Week"
    assert len(others) == 2
    for each in others:
        assert each.sender == "semana@example.org"
        assert each.message["From"].addresses[0].display_name == "Señal, la Semana"


def test_environment_wins_over_the_stored_server(week, smtp, settings):
    site_settings.save_email_server(server=EmailServer("smtp.invalid", 1, "none"))
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = smtp.url, "Us <us@example.org>"
    sign_up(week)
    delivery.deliver_due(writer.writer_for)
    assert [each.sender for each in smtp.messages] == ["us@example.org"]


def test_running_worker_uses_the_server_that_was_just_entered(week_of_worker, smtp_sink, worker):
    def has_run() -> bool:
        """Whether it has taken each wake-up, and has no run of before."""
        log, task = process.log, r"deliver_mails\[\S+\] "
        started, ended = (len(re.findall(f"{task}{word}", log)) for word in ("received", "succ"))
        return started == ended > 0

    sign_up(week_of_worker)
    process = worker(EMAIL_URL="", DEFAULT_FROM_EMAIL="")
    mail_queue.wake_workers()
    eventually(has_run, "a run")
    assert states() == {("waiting", 0, "")}
    enter(smtp_sink)
    mail_queue.wake_workers()
    smtp_sink.wait_for(1)
    eventually(has_run, "the end of the run")
    site_settings.save_sender(sender='"Another" <another@example.org>')
    sign_up(week_of_worker, "Bob B")
    mail_queue.wake_workers()
    assert [each.sender for each in smtp_sink.wait_for(2)] == [
        "week@example.org",
        "another@example.org",
    ]


@pytest.fixture
def week_of_worker(transactional_db, week):
    return week


def test_server_that_answers_has_no_problem(smtp_sink):
    assert problem_with(server_of(smtp_sink)) == ""


def test_problem_is_in_the_servers_words_and_without_the_password(smtp_sink):
    wrong = server_of(smtp_sink, user="week", password="pa55word")
    assert "AUTH extension not supported" in problem_with(wrong)
    assert "STARTTLS extension not supported" in problem_with(server_of(smtp_sink, security="tls"))
    smtp_sink.stop()
    assert problem_with(wrong).startswith("ConnectionRefusedError: ")
    assert "pa55word" not in problem_with(wrong)


def test_server_with_an_impossible_name_is_a_problem(smtp_sink):
    assert problem_with(server_of(smtp_sink, host="smtp..example.org"))


def test_silent_server_is_given_up_after_the_timeout(smtp_sink):
    smtp_sink.hang()
    assert "timed out" in problem_with(server_of(smtp_sink))


def test_check_with_the_database_asks_for_a_server(smtp_sink):
    (warning,) = email_is_configured(databases=["default"])
    assert warning.id == "registrations.W003"
    assert email_is_configured() == []
    enter(smtp_sink)
    assert email_is_configured(databases=["default"]) == []


def test_status_says_that_no_server_or_no_sender_is_set(smtp_sink, capsys):
    def said() -> str:
        with pytest.raises(SystemExit):
            call_command("mail_status")
        return capsys.readouterr().out

    assert "No email server is set yet, so emails are waiting." in said()
    site_settings.save_email_server(server=server_of(smtp_sink))
    assert "No sender is set yet, so emails are waiting." in said()
    enter(smtp_sink)
    assert "they wait" not in said()
