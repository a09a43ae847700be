"""Entering the email server and the sender, and sending a test."""

import pytest
from django.contrib.admin.models import LogEntry

from events import site_settings
from events.models import SiteSettings
from events.site_settings import EmailServer
from registrations import models
from registrations.mail import test_emails
from tests.registrations.admin.set_up.pages import (
    SERVER,
    URL,
    done,
    errors_of,
    page_of,
    press,
    said,
    steps_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_production")]

WITH_PASSWORD = SERVER | {"user": "week", "password": "pa55word"}


def local(sink, **changes: str) -> dict[str, str]:
    return {"host": sink.host, "port": str(sink.port), "security": "none", **changes}


def test_server_is_stored_and_tried(organizer, smtp_sink):
    assert steps_of(page_of(organizer))["server"].startswith("1. Email server To do Without it, no")
    text = "Saved. The email server answers, and accepts the password."
    assert said(organizer, "server", **local(smtp_sink)) == [("success", text)]
    stored = site_settings.stored_email_server()
    assert stored == EmailServer(smtp_sink.host, smtp_sink.port, "none")
    page = page_of(organizer)
    assert (
        f"1. Email server Done {smtp_sink.host}, port {smtp_sink.port}."
        in (steps_of(page)["server"])
    )


def test_server_that_does_not_answer_is_stored_but_not_done(organizer, smtp_sink):
    smtp_sink.stop()
    ((color, text),) = said(organizer, "server", **local(smtp_sink))
    assert color == "error"
    assert text.startswith(
        "Saved, but the email server can't be used yet. It said: ConnectionRefusedError: "
    )
    assert site_settings.has_email_server()
    page = page_of(organizer)
    assert "It hasn't accepted a connection yet." in steps_of(page)["server"]
    assert "server" not in done(page)
    smtp_sink.start()
    press(organizer, "server", **local(smtp_sink))
    assert "server" in done(page_of(organizer))


def test_password_is_kept_if_the_field_is_empty_and_never_shown(organizer):
    page = press(organizer, "server", **WITH_PASSWORD)
    assert "pa55word" not in page
    assert "One is saved, but we don&#x27;t show it." in page
    assert not errors_of(press(organizer, "server", **WITH_PASSWORD | {"password": ""}))
    assert site_settings.stored_email_server().password == "pa55word"
    press(organizer, "server", **WITH_PASSWORD | {"password": " n3w "})
    assert site_settings.stored_email_server().password == " n3w "


@pytest.mark.parametrize(
    "change",
    [
        {"host": "smtp.evil.example"},
        {"user": "other"},
        {"port": "465"},
        {"security": "ssl"},
        {"security": "none", "port": "25"},
    ],
)
def test_password_is_not_sent_to_another_server_or_account_or_in_another_way(organizer, change):
    press(organizer, "server", **WITH_PASSWORD)
    page = press(organizer, "server", **WITH_PASSWORD | {"password": ""} | change)
    assert errors_of(page) == ["Enter the password that goes with this."]
    assert site_settings.stored_email_server() == EmailServer(
        "smtp.example.org", 587, "tls", "week", "pa55word"
    )


def test_password_that_goes_out_unencrypted_is_typed_each_time(organizer):
    press(organizer, "server", **WITH_PASSWORD | {"security": "none"})
    page = press(organizer, "server", **WITH_PASSWORD | {"security": "none", "password": ""})
    assert errors_of(page) == ["Enter the password that goes with this."]
    assert "One is saved, but" not in page


def test_without_a_user_name_there_is_no_password(organizer):
    press(organizer, "server", **WITH_PASSWORD)
    press(organizer, "server", **WITH_PASSWORD | {"user": ""})
    stored = site_settings.stored_email_server()
    assert (stored.user, stored.password) == ("", "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"host": ""}, "This field is required."),
        ({"host": "smtp..example.org"}, "Enter a name like smtp.example.org."),
        ({"host": "https://smtp.example.org"}, "Enter a name like smtp.example.org."),
        ({"host": "smtp.example.org:587"}, "Enter a name like smtp.example.org."),
        ({"host": "\u2764.\u200d"}, "Enter a name like smtp.example.org."),
        ({"port": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"port": "65536"}, "Ensure this value is less than or equal to 65535."),
        ({"security": "x"}, "Select a valid choice. x is not one of the available choices."),
        ({"user": "josé"}, "Use only plain letters, numbers and symbols, without accents."),
        ({"password": "señal"}, "Use only plain letters, numbers and symbols, without accents."),
    ],
)
def test_what_cannot_be_a_server_is_an_error_and_stores_nothing(organizer, change, error):
    page = press(organizer, "server", **WITH_PASSWORD | change)
    assert errors_of(page) == [error]
    assert "<title>Error: Set up your site" in page
    assert not SiteSettings.objects.exists()
    if "password" in change:
        assert change["password"] not in page


def test_name_of_a_server_in_other_letters_is_stored_in_its_ascii_form(organizer):
    press(organizer, "server", **SERVER | {"host": "smtp.bücher.example"})
    assert site_settings.stored_email_server().host == "smtp.xn--bcher-kva.example"


def test_form_with_an_error_is_open_and_keeps_what_was_entered(organizer):
    page = press(organizer, "sender", name="Our Week", address="week@")
    section = page.partition('id="step-sender"')[2].partition("</section>")[0]
    assert '<details class="more" open>' in section
    assert 'value="Our Week"' in section
    assert page.count('<details class="more" open>') == 1


def test_sender_is_stored(organizer):
    assert "2. Sender To do" in steps_of(page_of(organizer))["sender"]
    text = 'Saved. Emails are from "Señal, la Semana" <semana@example.org>.'
    told = said(organizer, "sender", name="Señal, la Semana", address="semana@example.org")
    assert told == [("success", text)]
    assert "2. Sender Done" in steps_of(page_of(organizer))["sender"]
    page = page_of(organizer)
    assert 'value="Señal, la Semana"' in page
    assert 'value="semana@example.org"' in page


@pytest.mark.parametrize(
    "change",
    [
        {"name": 'Our "Week"'},
        {"name": "Our\nWeek"},
        {"name": "Us <them@example.org>"},
        {"name": ""},
        {"address": "not an address"},
        {"address": "josé@example.org"},
    ],
)
def test_what_cannot_be_a_sender_is_an_error(organizer, change):
    page = press(organizer, "sender", **{"name": "Us", "address": "us@example.org"} | change)
    assert errors_of(page)
    assert site_settings.sender() == ""


def test_environment_is_shown_and_cannot_be_changed(organizer, settings):
    settings.EMAIL_URL = "smtp+tls://week:pa55word@smtp.example.net:2525"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp.example.net", 2525
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "week", "pa55word"
    settings.EMAIL_USE_TLS = True
    settings.DEFAULT_FROM_EMAIL = "Us <us@example.net>"
    page = page_of(organizer)
    assert steps_of(page)["server"].startswith(
        "1. Email server Done This is set on the server, so you can't change it here."
    )
    for value in ("smtp.example.net", "2525", "week", "us@example.net"):
        assert f'value="{value}"' in page
    assert "pa55word" not in page
    # Five fields of the server, and two of the sender.
    assert (
        page.count(" disabled")
        == page.count("This is set on the server, so you can&#x27;t change it here.</p>") - 1
    )
    assert page.count(" disabled") == 7
    for do, fields in (("server", SERVER), ("sender", {"name": "A", "address": "a@example.org"})):
        assert organizer.post(URL, {"do": do, **fields}).status_code == 400
    assert not SiteSettings.objects.exists()


def test_provider_in_the_environment_is_named(organizer, settings):
    settings.EMAIL_URL = "anymail://postmark"
    assert 'value="postmark"' in page_of(organizer)


def test_trial_site_says_where_its_emails_go(organizer, settings):
    settings.EMAIL_BACKEND = "strategyweek.dev_mailbox.EmailBackend"
    assert (
        "1. Email server Done This site is for trying out"
        in (steps_of(page_of(organizer))["server"])
    )


# The test email


def enter(organizer, sink) -> None:
    press(organizer, "server", **local(sink))
    press(organizer, "sender", name="Us", address="us@example.org")


def test_test_email_goes_to_ones_own_address(organizer, admin_user, smtp_sink):
    assert said(organizer, "test") == [("error", "First enter the email server and the sender.")]
    assert 'value="test"' not in page_of(organizer)
    enter(organizer, smtp_sink)
    assert 'value="test"' in page_of(organizer)
    text = f"We sent a test email to {admin_user.email}. Open its link to confirm that it arrived."
    assert said(organizer, "test") == [("success", text)]
    (message,) = smtp_sink.messages
    assert message.recipients == [admin_user.email]


def test_test_email_needs_an_address(organizer, admin_user, smtp_sink):
    enter(organizer, smtp_sink)
    type(admin_user).objects.update(email="")
    text = "Your account has no email address to send a test to."
    assert said(organizer, "test") == [("error", text)]
    assert not smtp_sink.messages


def test_test_that_arrived_counts_until_the_server_or_the_sender_changes(organizer, smtp_sink):
    enter(organizer, smtp_sink)
    press(organizer, "test")
    test_emails.confirm_arrival(test=models.TestEmail.objects.get())
    page = page_of(organizer)
    assert "3. Test email Done A test arrived at admin@example.com." in steps_of(page)["test"]
    press(organizer, "sender", name="Another", address="us@example.org")
    assert "test" not in done(page_of(organizer))


def test_domain_is_named_where_spam_is_explained(organizer, smtp_sink):
    enter(organizer, smtp_sink)
    text = steps_of(page_of(organizer))["test"]
    assert "SPF at example.org:" in text
    assert "DMARC at _dmarc.example.org:" in text


# What is recorded


def test_history_says_what_was_changed_without_values(organizer, caplog):
    with caplog.at_level("DEBUG"):
        press(organizer, "server", **WITH_PASSWORD)
        press(organizer, "sender", name="Us", address="us@example.org")
    entries = list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))
    assert entries == ["Changed the email server.", "Changed the sender."]
    assert "Set up" in organizer.get("/admin/").content.decode()
    assert "pa55word" not in caplog.text
