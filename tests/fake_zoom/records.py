"""The users, meetings and people of a Zoom account, as plain dataclasses."""

import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import Any

BASIC, LICENSED = 1, 2  # User.type
SCHEDULED, NO_FIXED_TIME = 2, 3  # Meeting.type
MEETING_TYPES = (1, SCHEDULED, NO_FIXED_TIME, 8)
AUTOMATIC, MANUAL, NO_REGISTRATION = 0, 1, 2  # settings.approval_type

DEFAULT_SETTINGS: dict[str, Any] = {
    "host_video": False,
    "participant_video": False,
    "join_before_host": False,
    "mute_upon_entry": False,
    "waiting_room": False,
    "approval_type": NO_REGISTRATION,
    "registration_type": 1,
    "audio": "both",
    "auto_recording": "none",
    "alternative_hosts": "",
    "registrants_confirmation_email": True,
    "registrants_email_notification": True,
    "meeting_authentication": False,
}


@dataclass
class User:
    id: str
    email: str
    type: int
    timezone: str = "America/Los_Angeles"
    # Keyed by section, such as "in_meeting".
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Registrant:
    id: str
    email: str
    first_name: str
    last_name: str
    # approved, pending, denied or cancelled
    status: str
    create_time: dt.datetime
    # The secret in the personal join link.
    token: str
    pin_code: int

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass
class Participant:
    """One person's stay in a meeting. `user_id` is unique within an instance."""

    user_id: str
    uuid: str
    name: str
    email: str
    registrant_id: str
    join_time: dt.datetime
    leave_time: dt.datetime | None = None


@dataclass
class Instance:
    """One run of a meeting, from start to end."""

    uuid: str
    start_time: dt.datetime
    end_time: dt.datetime | None = None
    participants: list[Participant] = field(default_factory=list)

    @property
    def present(self) -> list[Participant]:
        """The participants who have not left."""
        return [each for each in self.participants if each.leave_time is None]


@dataclass
class Meeting:
    id: int
    uuid: str
    host_id: str
    host_email: str
    topic: str
    type: int
    start_time: dt.datetime
    duration: int  # minutes
    timezone: str
    agenda: str
    created_at: dt.datetime
    password: str
    # Used in links instead of the passcode.
    encrypted_password: str
    settings: dict[str, Any]
    # For phones and conference rooms, which have no letters.
    phone_password: str = field(default_factory=lambda: f"{secrets.randbelow(1_000_000):06}")
    # Keyed by email address in lower case.
    registrants: dict[str, Registrant] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)

    @property
    def live(self) -> Instance | None:
        """The instance in progress, if any."""
        last = self.instances[-1] if self.instances else None
        return last if last and last.end_time is None else None

    @property
    def scheduled_end(self) -> dt.datetime:
        return self.start_time + dt.timedelta(minutes=self.duration)

    @property
    def city(self) -> str:
        """The city of the time zone, such as "Los Angeles"."""
        return self.timezone.rpartition("/")[2].replace("_", " ")

    @property
    def has_registration(self) -> bool:
        return bool(self.settings["approval_type"] != NO_REGISTRATION)

    @property
    def registered(self) -> list[Registrant]:
        """The registrants who are approved or waiting for approval."""
        return [
            each for each in self.registrants.values() if each.status in {"approved", "pending"}
        ]


class CannotJoin(Exception):
    """A person cannot enter or start the meeting. The message is what Zoom shows them."""
