"""The email to a mailbox that has as many people as it can: the page tells it to no one."""

import datetime as dt
from collections.abc import Sequence

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from events.links import absolute
from registrations.mail import stored_messages
from registrations.mail.merge import unlinked
from registrations.mail_kinds import MailKind
from registrations.models import Registration
from registrations.models.registration import PEOPLE_PER_MAILBOX


def queue(*, registrations: Sequence[Registration]) -> None:
    """Queue the email that these people with one address, who aren't saved, could not be added."""
    event, email = registrations[0].event, registrations[0].email
    there = Registration.objects.active().filter(event=event, email_key=registrations[0].email_key)
    name = ", ".join(unlinked(each.name) for each in registrations)
    context = {
        "event": event,
        "name": name,
        "most": PEOPLE_PER_MAILBOX,
        # A stranger may have filled it with made-up names: one email to remove them all.
        "people": [
            (unlinked(each.name), absolute(reverse("me", args=[each.token])))
            for each in there.order_by("pk")
        ],
    }
    subject = _("We couldn't register %(name)s: %(event)s") % {"name": name, "event": event.name}
    stored_messages.queue(
        kind=MailKind.MAILBOX_FULL,
        recipient=email,
        subject=" ".join(subject.split()),
        text=render_to_string("mails/mailbox_full.txt", context),
        headers={"Reply-To": event.contact_email} if event.contact_email else {},
        valid_for=dt.timedelta(days=1),
    )
