"""The people and their mails, for organizers."""

from .announcements import AnnouncementAdmin
from .mail import OutgoingMailAdmin
from .people import RegistrationAdmin, RegistrationChangeForm
from .texts import MailTextAdmin

__all__ = [
    "AnnouncementAdmin",
    "MailTextAdmin",
    "OutgoingMailAdmin",
    "RegistrationAdmin",
    "RegistrationChangeForm",
]
