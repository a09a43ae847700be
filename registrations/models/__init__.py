"""Models: registrations, seats, email, access needs, questions, Zoom links."""

from registrations.models.access_needs import NEED_KINDS, OTHER_NEED, AccessNeed, need_choices
from registrations.models.mail import (
    UNREACHED_STATES,
    Announcement,
    Heartbeat,
    MailboxUse,
    MailText,
    MailThrottle,
    OutgoingMail,
    OutgoingMailQuerySet,
)
from registrations.models.questions import Answer, Question
from registrations.models.registration import (
    TOKEN_LENGTH,
    Registration,
    RegistrationQuerySet,
    Seat,
    SeatQuerySet,
    join_url,
    new_token,
)
from registrations.models.test_emails import TestEmail
from registrations.models.zoom import Attendance, PersonalLink, PersonalLinkQuerySet
from registrations.validators import email_key, email_key_or_blank
