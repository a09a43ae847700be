"""An account at Zoom: its users, meetings, registrants and rules. It knows nothing of HTTP.

Source of each rule: https://developers.zoom.us/docs/api/meetings/. Methods that the API calls
raise `errors.Refused`; those that people use, CannotJoin. Not safe for threads: whoever shares
an account holds a lock.
"""

import base64
import datetime as dt
import functools
import itertools
import re
import secrets
import zoneinfo
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import errors, limits
from .limits import Clock, Label

TOKEN_LIFE = dt.timedelta(hours=1)
LONGEST_NAME, LONGEST_EMAIL = 64, 128
LONGEST_TOPIC, LONGEST_AGENDA = 200, 2_000
MOST_REGISTRANTS = 4_999
LARGEST_BATCH = 30
BASIC, LICENSED = 1, 2
SCHEDULED, NO_FIXED_TIME = 2, 3
MEETING_TYPES = (1, SCHEDULED, NO_FIXED_TIME, 8)
# settings.approval_type
AUTOMATIC, BY_HAND, NO_REGISTRATION = 0, 1, 2

EMAIL = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*"
    r"@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    re.ASCII | re.IGNORECASE,
)
PASSCODE = re.compile(r"[A-Za-z0-9@_*-]{1,10}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?")
SETTINGS: dict[str, Any] = {
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
    first_name: str = ""
    last_name: str = ""
    timezone: str = "America/Los_Angeles"
    # By section, such as in_meeting.
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


@dataclass
class Participant:
    """Somebody's stay in a meeting. `user_id` tells stays in one instance apart."""

    user_id: str
    uuid: str
    name: str
    email: str
    registrant_id: str
    join_time: dt.datetime
    leave_time: dt.datetime | None = None


@dataclass
class Instance:
    """A meeting as it was held once."""

    uuid: str
    start_time: dt.datetime
    end_time: dt.datetime | None = None
    participants: list[Participant] = field(default_factory=list)


@dataclass
class Meeting:
    id: int
    uuid: str
    host_id: str
    host_email: str
    topic: str
    type: int
    start_time: dt.datetime
    duration: int
    timezone: str
    agenda: str
    created_at: dt.datetime
    password: str
    # What stands for the passcode in links.
    encrypted_password: str
    settings: dict[str, Any]
    # By address, in lower case.
    registrants: dict[str, Registrant] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)

    @property
    def live(self) -> Instance | None:
        """The instance that people are in just now."""
        last = self.instances[-1] if self.instances else None
        return last if last and last.end_time is None else None

    @property
    def scheduled_end(self) -> dt.datetime:
        return self.start_time + dt.timedelta(minutes=self.duration)

    @property
    def has_registration(self) -> bool:
        return bool(self.settings["approval_type"] != NO_REGISTRATION)

    def registered(self) -> list[Registrant]:
        """Those with a place or waiting to be approved."""
        return [
            each for each in self.registrants.values() if each.status in {"approved", "pending"}
        ]


class CannotJoin(Exception):
    """The words that a person sees instead of the meeting."""


class Account:
    def __init__(
        self, *, plan: str, account_id: str, client_id: str, client_secret: str, clock: Clock
    ) -> None:
        self.plan = plan
        self.id = account_id
        self.client = (client_id, client_secret)
        self.clock = clock
        # Where the links lead.
        self.site = ""
        self.rate = limits.Rate(plan, clock)
        self._daily = limits.Daily(clock)
        self._tokens: dict[str, dt.datetime] = {}
        self._kinds_of_uuid = itertools.cycle(
            (
                lambda plain: plain,
                lambda plain: f"/{plain[1:]}",
                lambda plain: f"{plain[:6]}//{plain[8:]}",
            )
        )
        self.users: list[User] = []
        self.meetings: dict[int, Meeting] = {}
        self.owner = self.add_user("host@example.org", licensed=plan != "free")

    # Who calls

    def add_user(self, email: str, *, licensed: bool = True) -> User:
        user = User(id=_id(), email=email, type=LICENSED if licensed else BASIC)
        self.users.append(user)
        return user

    def user(self, key: str) -> User:
        """By id, by address, or "me", who is the account's owner."""
        if key == "me":
            return self.owner
        for user in self.users:
            if key == user.id or key.lower() == user.email.lower():
                return user
        raise errors.no_user(key)

    def update_user_settings(self, user: User, body: Mapping[str, Any]) -> None:
        """Change what is given of each section."""
        if wrong := [name for name, section in body.items() if not isinstance(section, dict)]:
            raise errors.invalid(*wrong)
        for name, section in body.items():
            user.settings[name] = user.settings.get(name, {}) | section

    def new_token(self) -> str:
        """Let a client in for an hour. Earlier tokens go on until they expire."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = self.clock() + TOKEN_LIFE
        return token

    def check_token(self, token: str) -> None:
        expires = self._tokens.get(token)
        if expires is None:
            raise errors.invalid_token()
        if self.clock() >= expires:
            raise errors.expired_token()

    def revoke(self, token: str) -> None:
        self._tokens.pop(token, None)

    # Meetings

    def meeting(self, key: str) -> Meeting:
        found = self.meetings.get(int(key)) if key.isdecimal() and len(key) < 20 else None
        if found is None:
            raise errors.no_meeting(key)
        return found

    def create_meeting(self, host: User, body: Mapping[str, Any]) -> Meeting:
        fields = self._meeting_fields(body, host.timezone)
        self._count_meeting(host.id, Label.MEDIUM)
        now = self.clock()
        meeting = Meeting(
            id=self._new_meeting_id(),
            uuid=self._new_uuid(),
            host_id=host.id,
            host_email=host.email,
            topic=fields.get("topic", "Zoom Meeting"),
            type=fields.get("type", SCHEDULED),
            start_time=fields.get("start_time", now.replace(microsecond=0)),
            duration=fields.get("duration", 60),
            timezone=fields.get("timezone", host.timezone),
            agenda=fields.get("agenda", ""),
            created_at=now,
            password=fields.get("password", secrets.token_hex(3)),
            encrypted_password=secrets.token_urlsafe(12),
            settings=SETTINGS | fields.get("settings", {}),
        )
        self._forbid_registration_without_time(meeting)
        self.meetings[meeting.id] = meeting
        return meeting

    def update_meeting(self, meeting: Meeting, body: Mapping[str, Any]) -> None:
        """Change what is given. A start in the past is ignored, as documented."""
        fields = self._meeting_fields(body, meeting.timezone)
        self._count_meeting(meeting.host_id, Label.LIGHT)
        if fields.get("start_time", self.clock()) < self.clock():
            del fields["start_time"]
        if fields.get("password", meeting.password) != meeting.password:
            meeting.encrypted_password = secrets.token_urlsafe(12)
        meeting.settings |= fields.pop("settings", {})
        for name, value in fields.items():
            setattr(meeting, name, value)
        self._forbid_registration_without_time(meeting)

    def delete_meeting(self, meeting: Meeting) -> None:
        if meeting.live:
            raise errors.in_progress()
        del self.meetings[meeting.id]

    def list_meetings(self, host: User, kind: str) -> list[Meeting]:
        now = self.clock()
        chosen = {
            "scheduled": lambda meeting: True,
            "live": lambda meeting: meeting.live,
            "upcoming": lambda meeting: meeting.live or meeting.scheduled_end > now,
            "upcoming_meetings": lambda meeting: meeting.live or meeting.scheduled_end > now,
            "previous_meetings": lambda meeting: meeting.instances and not meeting.live,
        }.get(kind)
        if chosen is None:
            raise errors.invalid("type")
        theirs = (each for each in self.meetings.values() if each.host_id == host.id)
        return sorted(filter(chosen, theirs), key=lambda each: (each.start_time, each.id))

    def _meeting_fields(self, body: Mapping[str, Any], timezone: str) -> dict[str, Any]:
        """What of a body is understood, checked. Names that are unknown are ignored, as by Zoom."""
        fields = {
            name: body[name]
            for name in ("topic", "type", "duration", "timezone", "agenda", "password", "settings")
            if body.get(name) not in (None, "")
        }
        rules = {
            "topic": lambda value: _is_text(value, LONGEST_TOPIC),
            "agenda": lambda value: _is_text(value, LONGEST_AGENDA),
            "password": lambda value: isinstance(value, str) and PASSCODE.fullmatch(value),
            "type": lambda value: value in MEETING_TYPES,
            "duration": lambda value: isinstance(value, int) and value > 0,
            "timezone": lambda value: str(value) in _timezones(),
            "settings": lambda value: isinstance(value, dict),
        }
        wrong = [name for name, value in fields.items() if not rules[name](value)]
        if start := body.get("start_time"):
            try:
                fields["start_time"] = _moment(start, fields.get("timezone", timezone))
            except ValueError:
                wrong.append("start_time")
        if wrong:
            raise errors.invalid(*wrong)
        return fields

    def _count_meeting(self, host_id: str, label: Label) -> None:
        limit = limits.MEETINGS_PER_DAY
        message = (
            f"You have exceeded the daily rate limit ({limit}) of Meeting Create/Update API "
            "requests permitted for this particular user. "
            "You may resume these requests at GMT 00:00:00."
        )
        self._daily.take(("meetings", host_id), limit, label, message)

    def _forbid_registration_without_time(self, meeting: Meeting) -> None:
        """Asked for registration there, Zoom says yes and stores no."""
        if meeting.type == NO_FIXED_TIME:
            meeting.settings["approval_type"] = NO_REGISTRATION

    def _new_meeting_id(self) -> int:
        while (number := 80_000_000_000 + secrets.randbelow(10_000_000_000)) in self.meetings:
            pass
        return number

    def _new_uuid(self) -> str:
        """Base64, in which some begin with / or hold //: here every third each, in turn."""
        plain = base64.b64encode(secrets.token_bytes(16)).decode().replace("/", "A")
        return next(self._kinds_of_uuid)(plain)

    # Registrants

    def add_registrant(self, meeting: Meeting, body: Mapping[str, Any]) -> Registrant:
        self._check_registration(meeting, full_status=400, new=[body.get("email")])
        if wrong := _wrong_fields(body):
            raise errors.invalid(*wrong)
        email = body["email"].lower()
        limit = limits.ADDS_PER_DAY
        message = (
            f"You have exceeded the daily rate limit of ({limit}) for Add meeting registrant API "
            f"requests for the registrant ({body['email']}). "
            "You can resume these API requests at GMT 00:00:00."
        )
        self._daily.take(("add", meeting.id, email), limit, Label.LIGHT, message)
        return self._registrant(meeting, body, auto_approve=body.get("auto_approve") is True)

    def add_registrants(self, meeting: Meeting, body: Mapping[str, Any]) -> list[Registrant]:
        """All of a batch, or none of it."""
        if meeting.type != SCHEDULED:
            raise errors.not_scheduled()
        batch = body.get("registrants")
        if not isinstance(batch, list) or not 0 < len(batch) <= LARGEST_BATCH:
            raise errors.invalid("registrants")
        wrong = [
            f"registrants[{number}].{name}"
            for number, each in enumerate(batch)
            for name in (_wrong_fields(each) if isinstance(each, dict) else ["email"])
        ]
        if wrong:
            raise errors.invalid(*wrong)
        self._check_registration(meeting, full_status=404, new=[each["email"] for each in batch])
        limit = limits.ADDS_PER_DAY
        messages: dict[Hashable, str] = {
            ("add", meeting.id, each["email"].lower()): (
                f"You have exceeded the daily rate limit ({limit}) of Meeting Batch Registration "
                f"API requests permitted for ({each['email']}) this particular registrant. "
                "You may resume these requests at GMT 00:00:00."
            )
            for each in batch
        }
        self._daily.take_all(messages, limit, Label.HEAVY)
        auto_approve = body.get("auto_approve") is True
        return [self._registrant(meeting, each, auto_approve=auto_approve) for each in batch]

    def list_registrants(self, meeting: Meeting, status: str) -> list[Registrant]:
        if status not in {"approved", "pending", "denied"}:
            raise errors.invalid("status")
        if not meeting.has_registration:
            raise errors.no_registration(meeting.id)
        return [each for each in meeting.registrants.values() if each.status == status]

    def update_registrants(self, meeting: Meeting, body: Mapping[str, Any]) -> None:
        """Cancel, approve or deny those named by id or address; whoever is unknown is ignored."""
        action, named = body.get("action"), body.get("registrants")
        if action not in {"cancel", "approve", "deny"}:
            raise errors.invalid("action")
        if not isinstance(named, list) or not all(isinstance(each, dict) for each in named):
            raise errors.invalid("registrants")
        if not meeting.has_registration:
            raise errors.no_registration(meeting.id)
        by_id = {each.id: each for each in meeting.registrants.values()}
        found = [
            by_id.get(str(each.get("id", "")))
            or meeting.registrants.get(str(each.get("email", "")).lower())
            for each in named
        ]
        people = {each.id: each for each in found if each}.values()
        limit = limits.STATUS_UPDATES_PER_DAY
        messages: dict[Hashable, str] = {
            ("status", meeting.id, each.email.lower()): (
                f"You have exceeded the daily rate limit of ({limit}) for meeting Update "
                f"registrant's status API requests for the registrant ({each.email}). "
                "You can resume these API requests at GMT 00:00:00."
            )
            for each in people
        }
        self._daily.take_all(messages, limit, Label.MEDIUM)
        for each in people:
            if action == "cancel":
                each.status = "cancelled"
            elif each.status != "cancelled":
                each.status = "approved" if action == "approve" else "denied"

    def _check_registration(
        self, meeting: Meeting, *, full_status: int, new: Sequence[object]
    ) -> None:
        """Raise Refused unless the meeting takes registrations and has places for the new."""
        if not meeting.has_registration:
            raise errors.no_registration(meeting.id)
        if self.user(meeting.host_id).type == BASIC:
            raise errors.unpaid(meeting.host_id)
        if meeting.scheduled_end <= self.clock() and not meeting.live:
            raise errors.over()
        registered = {each.email.lower() for each in meeting.registered()}
        if len(registered | {str(email).lower() for email in new}) > MOST_REGISTRANTS:
            raise errors.full(full_status)

    def _registrant(
        self, meeting: Meeting, body: Mapping[str, Any], *, auto_approve: bool
    ) -> Registrant:
        """The one there is by that address, unless it was cancelled: then one with a new link."""
        key = body["email"].lower()
        there = meeting.registrants.get(key)
        if there and there.status != "cancelled":
            return there
        approved = auto_approve or meeting.settings["approval_type"] == AUTOMATIC
        meeting.registrants[key] = Registrant(
            id=_id(),
            email=body["email"],
            first_name=body["first_name"],
            last_name=body.get("last_name") or "",
            status="approved" if approved else "pending",
            create_time=self.clock(),
            token=secrets.token_urlsafe(24),
            pin_code=100_000 + secrets.randbelow(900_000),
        )
        return meeting.registrants[key]

    # What people do at Zoom

    def admit(self, meeting_id: int, passcode: str, token: str | None) -> Registrant | None:
        """Whom a link lets in: the registrant of that token, or None for whoever has the link.

        Raises CannotJoin.
        """
        meeting = self.meetings.get(meeting_id)
        if meeting is None:
            raise CannotJoin("This meeting ID is not valid. (3,001)")
        if not secrets.compare_digest(passcode.encode(), meeting.encrypted_password.encode()):
            raise CannotJoin("The meeting passcode is wrong. (3,004)")
        if token is None:
            if meeting.has_registration:
                raise CannotJoin("This meeting requires registration. (3,099)")
            return None
        for registrant in meeting.registrants.values():
            if registrant.token == token and registrant.status == "approved":
                return registrant
            if registrant.token == token and registrant.status == "pending":
                raise CannotJoin("The host has not approved your registration yet.")
        raise CannotJoin("Your registration has been canceled by the host.")

    def start(self, meeting: Meeting) -> Instance:
        """The host comes in: a new instance, with a uuid of its own."""
        if meeting.live:
            raise CannotJoin("This meeting has started already.")
        meeting.uuid = self._new_uuid()
        meeting.instances.append(Instance(meeting.uuid, self.clock()))
        return meeting.instances[-1]

    def join(
        self, meeting: Meeting, registrant: Registrant | None, name: str, email: str
    ) -> Participant:
        if meeting.live is None:
            raise CannotJoin("The host has not started this meeting yet. (3,008)")
        if registrant:
            name = f"{registrant.first_name} {registrant.last_name}".strip()
            email = registrant.email
        participant = Participant(
            user_id=str(16_778_240 + 1_024 * len(meeting.live.participants)),
            uuid=_id(),
            name=name,
            email=email,
            registrant_id=registrant.id if registrant else "",
            join_time=self.clock(),
        )
        meeting.live.participants.append(participant)
        return participant

    def leave(self, participant: Participant) -> None:
        participant.leave_time = participant.leave_time or self.clock()

    def instance_of(self, participant: Participant) -> tuple[Meeting, Instance]:
        """Where somebody is or was. Raises CannotJoin."""
        for meeting in self.meetings.values():
            for instance in meeting.instances:
                if any(each is participant for each in instance.participants):
                    return meeting, instance
        raise CannotJoin("This meeting ID is not valid. (3,001)")

    def end(self, meeting: Meeting) -> Instance:
        """The host ends it for all; whoever was in it has left by then."""
        if meeting.live is None:
            raise CannotJoin("The host has not started this meeting yet. (3,008)")
        ended = meeting.live
        ended.end_time = self.clock()
        for participant in ended.participants:
            participant.leave_time = participant.leave_time or ended.end_time
        return ended

    def ended_instance(self, key: str) -> tuple[Meeting, Instance]:
        """By uuid, or a meeting's last by its id. Raises Refused."""
        for meeting in self.meetings.values():
            for instance in reversed(meeting.instances):
                if key in (str(meeting.id), instance.uuid) and instance.end_time:
                    return meeting, instance
        raise errors.not_ended()


def _wrong_fields(person: Mapping[str, Any]) -> list[str]:
    email = person.get("email")
    rules = {
        "email": _is_text(email, LONGEST_EMAIL) and EMAIL.fullmatch(str(email)),
        "first_name": _is_text(person.get("first_name"), LONGEST_NAME),
        "last_name": not person.get("last_name") or _is_text(person["last_name"], LONGEST_NAME),
    }
    return [name for name, right in rules.items() if not right]


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= longest


@functools.cache
def _timezones() -> set[str]:
    return zoneinfo.available_timezones()


def _moment(written: object, timezone: str) -> dt.datetime:
    """In UTC when it ends in Z, else on the clocks of `timezone`. Raises ValueError."""
    if not isinstance(written, str) or not MOMENT.fullmatch(written):
        raise ValueError(written)
    moment = dt.datetime.fromisoformat(written)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    return moment.astimezone(dt.UTC)


def _id() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
