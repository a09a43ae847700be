"""The people and their mails, for organizers."""

from .access import AccessNeedAdmin
from .announcements import AnnouncementAdmin
from .attendance import AttendanceAdmin
from .mail import OutgoingMailAdmin
from .people import RegistrationAdmin, RegistrationChangeForm
from .places import SeatAdmin
from .questions import QuestionAdmin
from .texts import MailTextAdmin

__all__ = [
    "AccessNeedAdmin",
    "AnnouncementAdmin",
    "AttendanceAdmin",
    "MailTextAdmin",
    "OutgoingMailAdmin",
    "QuestionAdmin",
    "RegistrationAdmin",
    "RegistrationChangeForm",
    "SeatAdmin",
]
