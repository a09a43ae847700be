"""The people and their mails, for organizers."""

from .announcements import AnnouncementAdmin
from .attendance import AttendanceAdmin
from .mail import OutgoingMailAdmin
from .people import RegistrationAdmin, RegistrationChangeForm
from .texts import MailTextAdmin

__all__ = [
    "AnnouncementAdmin",
    "AttendanceAdmin",
    "MailTextAdmin",
    "OutgoingMailAdmin",
    "RegistrationAdmin",
    "RegistrationChangeForm",
]
