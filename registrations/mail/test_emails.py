"""Test emails: an organizer sends one to their own address, and confirms with its link.

They don't go through the outbox: the page says at once what the mail server answers.
"""

import datetime as dt
import re

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import site_settings
from events.links import in_language
from events.text.addresses import ascii_address
from registrations.models import TestEmail
from registrations.outbox.connection import (
    Accepted,
    ConnectionFailed,
    MailConnection,
    MailRejected,
    Outcome,
)
from registrations.outbox.prebuilt import AUTOMATIC

# How long an email that arrived shows that others do.
COUNTS_FOR = dt.timedelta(days=30)
# A page has room for this much of a server's answer.
MAX_ANSWER = 200
# What a mail server answers, after its code.
ANSWER = re.compile(r"\d{3} (.*)", re.DOTALL)

REFUSED_BY_PROVIDER = gettext_lazy(
    "The email provider didn't accept the email. Check its key and the sender, or try again in "
    "a few minutes."
)
# What exceptions mean, by name. Their own texts aren't shown: they could have the password.
REFUSALS = {
    "SMTPAuthenticationError": gettext_lazy(
        "The email server didn't accept the username and password. Check both. Some providers want "
        "an app password."
    ),
    "SMTPSenderRefused": gettext_lazy(
        "The email server doesn't let us send from %(sender)s. Check the sender's address, and "
        "whether the server needs a username and password."
    ),
    "SMTPNotSupportedError": gettext_lazy(
        "The email server doesn't offer a secure connection or a login on this port. Check the "
        "port: it's often 587 or 465."
    ),
    "AnymailRequestsAPIError": REFUSED_BY_PROVIDER,
}
NO_CONNECTION = {
    "gaierror": gettext_lazy("We found no email server with that name. Check its address."),
    "ConnectionRefusedError": gettext_lazy(
        "The email server didn't accept the connection. Check its address and port."
    ),
    "TimeoutError": gettext_lazy(
        "The email server didn't answer in time. Check its address and port, or try again in a few "
        "minutes."
    ),
    "SSLError": gettext_lazy(
        "The secure connection failed. Check the port: it's often 587 or 465."
    ),
    "SSLCertVerificationError": gettext_lazy(
        "The email server's certificate isn't valid, so we didn't send anything. Check its address."
    ),
}
CANT_CONNECT = gettext_lazy(
    "We couldn't connect to the email server. Check its address and port, and whether it needs a "
    "secure connection."
)
MAY_HAVE_ARRIVED = gettext_lazy(
    "The connection broke while we were sending the email. It may still have arrived: check your "
    "inbox, or send another one."
)


def send_test_email(*, user: User, language: str) -> TestEmail:
    """Send an email with a link that confirms it arrived, to the address of this account.

    It's sent before this returns, and not in a transaction. `error` of the returned row says in
    plain words why it failed, in this language; it never has a password.
    """
    site_settings.load(fresh=True)
    sender = site_settings.sender_address()
    test = TestEmail.objects.create(user=user, address=user.email, sender=sender)
    with translation.override(language):
        if not site_settings.can_send():
            error = _("First enter the email server and the sender.")
        elif user.email:
            connection = MailConnection()
            outcome = connection.send(_message(test, language))
            connection.close()
            error = _error(outcome, test)
        else:
            error = _("Your account has no email address to send a test to.")
    # If it arrived meanwhile, there was no error.
    TestEmail.objects.filter(pk=test.pk, arrived_at=None).update(error=error)
    test.refresh_from_db()
    return test


def latest_arrived() -> TestEmail | None:
    """The latest one that shows that email arrives: in the last 30 days, from today's sender."""
    arrived = _counting().filter(arrived_at__gt=timezone.now() - COUNTS_FOR)
    return arrived.order_by("-arrived_at", "-pk").first()


def latest_to(user: User) -> TestEmail | None:
    """The last one that this person sent from today's sender, if it isn't old."""
    sent = _counting().filter(user=user, sent_at__gt=timezone.now() - COUNTS_FOR)
    return sent.first()


def _counting() -> QuerySet[TestEmail]:
    """Those sent from today's sender with today's server."""
    found = TestEmail.objects.filter(sender=site_settings.sender_address())
    changed_at = site_settings.load().email_changed_at
    return found.filter(sent_at__gt=changed_at) if changed_at else found


def confirm_arrival(*, test: TestEmail) -> None:
    """Record that someone read it. The connection may have failed after the server had it."""
    unconfirmed = TestEmail.objects.filter(pk=test.pk, arrived_at=None)
    unconfirmed.update(arrived_at=timezone.now(), error="")


def delete_old(now: dt.datetime) -> None:
    """Delete those that no longer say anything, with their links."""
    old = TestEmail.objects.filter(sent_at__lte=now - COUNTS_FOR)
    old.exclude(arrived_at__gt=now - COUNTS_FOR).delete()


def _message(test: TestEmail, language: str) -> EmailMessage:
    url = in_language(reverse("test_email", args=[test.token]), language)
    context = {"url": url, "site_url": settings.SITE_URL}
    return EmailMessage(
        subject=_("Test email: did it arrive?"),
        body=render_to_string("mails/test.txt", context),
        to=[ascii_address(test.address)],
        headers=AUTOMATIC,
    )


def _error(outcome: Outcome, test: TestEmail) -> str:
    """What went wrong, for someone who entered the mail server's settings; "" if nothing did."""
    match outcome:
        case Accepted():
            return ""
        case MailRejected(answer=answer):
            # A provider's has several lines about the request.
            if said := ANSWER.fullmatch(answer):
                values = {"answer": " ".join(said[1].split())[:MAX_ANSWER]}
                return _("The email server refused the email. It said: %(answer)s") % values
            return str(REFUSED_BY_PROVIDER)
        case ConnectionFailed(error=error, had_mail=had_mail):
            name = error.partition(":")[0]
            reasons = REFUSALS if had_mail else NO_CONNECTION | REFUSALS
            reason = reasons.get(name, MAY_HAVE_ARRIVED if had_mail else CANT_CONNECT)
            return str(reason) % {"sender": test.sender}
    return _("We couldn't write the email. Tell the person who runs your server.")
