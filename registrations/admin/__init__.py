"""Admin pages for registrations, their sessions and their emails."""

from registrations.admin.access_needs import AccessNeedAdmin
from registrations.admin.announcements import AnnouncementAdmin
from registrations.admin.attendance import AttendanceAdmin
from registrations.admin.mail_texts import MailTextAdmin
from registrations.admin.outgoing_mail import OutgoingMailAdmin
from registrations.admin.questions import QuestionAdmin
from registrations.admin.registrations import RegistrationAdmin, RegistrationChangeForm
from registrations.admin.seats import SeatAdmin

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
