"""Stand-in until the real module is merged, which remembers test emails and who confirmed them."""

import dataclasses
import datetime as dt
import uuid

from django.contrib.auth.models import User
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from registrations.mail import stored_messages
from registrations.mail_kinds import MailKind


@dataclasses.dataclass
class TestEmail:
    user: User
    address: str
    token: str
    sent_at: dt.datetime
    arrived_at: dt.datetime | None = None
    error: str = ""


def send_test_email(*, user: User, language: str) -> TestEmail:
    """Queue a test email to this account's address, in this language."""
    with translation.override(language):
        text = _("Test email")
    stored_messages.queue(
        kind=MailKind.TEST,
        recipient=user.email,
        subject=text,
        text=text,
        valid_for=dt.timedelta(hours=1),
    )
    return TestEmail(user, user.email, str(uuid.uuid4()), timezone.now())


def latest_arrived() -> TestEmail | None:
    """The newest test email that someone confirmed."""
    return None
