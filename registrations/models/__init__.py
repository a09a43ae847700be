"""The people: who comes to what, and what we told them."""

from registrations.models.mail import (
    ENDED_STATES,
    UNREACHED_STATES,
    Announcement,
    Heartbeat,
    MailText,
    MailThrottle,
    OutgoingMail,
    OutgoingMailQuerySet,
)
from registrations.models.questions import Answer, Question
from registrations.models.registration import (
    TOKEN_LENGTH,
    AccessNeed,
    Registration,
    RegistrationQuerySet,
    Seat,
    SeatQuerySet,
    email_key,
    join_url,
    new_token,
)
from registrations.models.zoom import Attendance, PersonalLink, PersonalLinkQuerySet

__all__ = [
    "ENDED_STATES",
    "TOKEN_LENGTH",
    "UNREACHED_STATES",
    "AccessNeed",
    "Announcement",
    "Answer",
    "Attendance",
    "Heartbeat",
    "MailText",
    "MailThrottle",
    "OutgoingMail",
    "OutgoingMailQuerySet",
    "PersonalLink",
    "PersonalLinkQuerySet",
    "Question",
    "Registration",
    "RegistrationQuerySet",
    "Seat",
    "SeatQuerySet",
    "email_key",
    "join_url",
    "new_token",
]
