"""Admin pages for registrations, their sessions and their emails. Importing them registers them."""

from registrations.admin import (  # noqa: F401
    access_needs,
    announcements,
    attendance,
    mail_texts,
    outgoing_mail,
    publishing,
    questions,
    registrations,
    seats,
)
from registrations.admin.set_up import page  # noqa: F401
