"""A Zoom account: its users, meetings, registrants and rules, without HTTP.

Source of each rule: https://developers.zoom.us/docs/api/meetings/. Methods behind an API call
raise `errors.ApiError`; those behind what people do in Zoom raise CannotJoin. Not thread-safe:
callers share a lock.
"""

import base64
import datetime as dt
import itertools
import secrets
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tests.fake_zoom import errors, limits
from tests.fake_zoom.limits import Clock, Label
from tests.fake_zoom.records import (
    AUTOMATIC,
    BASIC,
    DEFAULT_SETTINGS,
    LICENSED,
    NO_FIXED_TIME,
    NO_REGISTRATION,
    SCHEDULED,
    CannotJoin,
    Instance,
    Meeting,
    Participant,
    Registrant,
    User,
)
from tests.fake_zoom.validation import invalid_registrant_fields, meeting_fields

TOKEN_LIFETIME = dt.timedelta(hours=1)
MAX_REGISTRANTS = 4_999
MAX_BATCH = 30


class Account:
    def __init__(
        self, *, plan: str, account_id: str, client_id: str, client_secret: str, clock: Clock
    ) -> None:
        self.plan = plan
        # For each meeting.
        self.max_registrants = MAX_REGISTRANTS
        self.id = account_id
        self.client = (client_id, client_secret)
        self.clock = clock
        # The base URL of all links.
        self.site = ""
        self.rate = limits.RateLimiter(plan, clock)
        self._daily = limits.DailyLimits(clock)
        self._expires_at: dict[str, dt.datetime] = {}
        self._uuid_numbers = itertools.count()
        self.users: list[User] = []
        self.meetings: dict[int, Meeting] = {}
        self.owner = self.add_user("host@example.org", licensed=plan != "free")

    # Users and tokens

    def add_user(self, email: str, *, licensed: bool = True) -> User:
        user = User(id=_id(), email=email, type=LICENSED if licensed else BASIC)
        self.users.append(user)
        return user

    def user(self, key: str) -> User:
        """Find a user by id or email address; "me" is the account's owner."""
        if key == "me":
            return self.owner
        for user in self.users:
            if key == user.id or key.lower() == user.email.lower():
                return user
        raise errors.no_user(key)

    def update_user_settings(self, user: User, body: Mapping[str, Any]) -> None:
        """Merge the given settings into each section."""
        if wrong := [name for name, section in body.items() if not isinstance(section, dict)]:
            raise errors.invalid(*wrong)
        for name, section in body.items():
            user.settings[name] = user.settings.get(name, {}) | section

    def new_token(self) -> str:
        """Issue a token for an hour. Earlier tokens stay valid until they expire."""
        token = secrets.token_urlsafe(32)
        self._expires_at[token] = self.clock() + TOKEN_LIFETIME
        return token

    def check_token(self, token: str) -> None:
        expires_at = self._expires_at.get(token)
        if expires_at is None:
            raise errors.invalid_token()
        if self.clock() >= expires_at:
            raise errors.expired_token()

    def revoke(self, token: str) -> None:
        self._expires_at.pop(token, None)

    # Meetings

    def meeting(self, key: str) -> Meeting:
        found = self.meetings.get(int(key)) if key.isdecimal() and len(key) < 20 else None
        if found is None:
            raise errors.no_meeting(key)
        return found

    def create_meeting(self, host: User, body: Mapping[str, Any]) -> Meeting:
        fields = meeting_fields(body, host.timezone)
        self._count_meeting_change(host.id, Label.MEDIUM)
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
            settings=DEFAULT_SETTINGS | fields.get("settings", {}),
        )
        self._drop_registration_without_time(meeting)
        self.meetings[meeting.id] = meeting
        return meeting

    def update_meeting(self, meeting: Meeting, body: Mapping[str, Any]) -> None:
        """Change the given fields. A start in the past is ignored, as documented."""
        fields = meeting_fields(body, meeting.timezone)
        self._count_meeting_change(meeting.host_id, Label.LIGHT)
        if fields.get("start_time", self.clock()) < self.clock():
            del fields["start_time"]
        if fields.get("password", meeting.password) != meeting.password:
            meeting.encrypted_password = secrets.token_urlsafe(12)
        meeting.settings |= fields.pop("settings", {})
        for name, value in fields.items():
            setattr(meeting, name, value)
        self._drop_registration_without_time(meeting)

    def delete_meeting(self, meeting: Meeting) -> None:
        if meeting.live:
            raise errors.in_progress()
        del self.meetings[meeting.id]

    def list_meetings(self, host: User, kind: str) -> list[Meeting]:
        """Return a host's meetings of a kind: the `type` parameter of Zoom's call."""
        now = self.clock()
        is_kind = {
            "scheduled": lambda meeting: True,
            "upcoming": lambda meeting: meeting.live or meeting.scheduled_end > now,
        }.get(kind)
        if is_kind is None:
            raise errors.invalid("type")
        found = [each for each in self.meetings.values() if each.host_id == host.id]
        return sorted(filter(is_kind, found), key=lambda each: (each.start_time, each.id))

    def _count_meeting_change(self, host_id: str, label: Label) -> None:
        limit = limits.MEETINGS_PER_DAY
        message = (
            f"You have exceeded the daily rate limit ({limit}) of Meeting Create/Update API "
            "requests permitted for this particular user. "
            "You may resume these requests at GMT 00:00:00."
        )
        self._daily.count({("meetings", host_id): message}, limit, label)

    def _drop_registration_without_time(self, meeting: Meeting) -> None:
        """Turn registration off for a meeting without a fixed time: Zoom does so silently."""
        if meeting.type == NO_FIXED_TIME:
            meeting.settings["approval_type"] = NO_REGISTRATION

    def _new_meeting_id(self) -> int:
        while (number := 80_000_000_000 + secrets.randbelow(10_000_000_000)) in self.meetings:
            pass
        return number

    def _new_uuid(self) -> str:
        """Return a base64 UUID. Of every three, one starts with / and one contains //."""
        plain = base64.b64encode(secrets.token_bytes(16)).decode().replace("/", "A")
        kinds = (plain, f"/{plain[1:]}", f"{plain[:6]}//{plain[8:]}")
        return kinds[next(self._uuid_numbers) % len(kinds)]

    # Registrants

    def add_registrant(self, meeting: Meeting, body: Mapping[str, Any]) -> Registrant:
        self._check_registration(meeting, full_status=400, new=[body.get("email")])
        if wrong := invalid_registrant_fields(body):
            raise errors.invalid(*wrong)
        email = body["email"].lower()
        limit = limits.ADDS_PER_DAY
        message = (
            f"You have exceeded the daily rate limit of ({limit}) for Add meeting registrant API "
            f"requests for the registrant ({body['email']}). "
            "You can resume these API requests at GMT 00:00:00."
        )
        self._daily.count({("add", meeting.id, email): message}, limit, Label.LIGHT)
        return self._register(meeting, body, auto_approve=body.get("auto_approve") is True)

    def add_registrants(self, meeting: Meeting, body: Mapping[str, Any]) -> list[Registrant]:
        """Register everyone in a batch, or nobody if one of them is rejected."""
        if meeting.type != SCHEDULED:
            raise errors.not_scheduled()
        batch = body.get("registrants")
        if not isinstance(batch, list) or not 0 < len(batch) <= MAX_BATCH:
            raise errors.invalid("registrants")
        wrong = [
            f"registrants[{number}].{name}"
            for number, each in enumerate(batch)
            for name in invalid_registrant_fields(each)
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
        self._daily.count(messages, limit, Label.HEAVY)
        auto_approve = body.get("auto_approve") is True
        return [self._register(meeting, each, auto_approve=auto_approve) for each in batch]

    def list_registrants(self, meeting: Meeting, status: str) -> list[Registrant]:
        if status not in {"approved", "pending", "denied"}:
            raise errors.invalid("status")
        if not meeting.has_registration:
            raise errors.no_registration(meeting.id)
        return [each for each in meeting.registrants.values() if each.status == status]

    def update_registrants(self, meeting: Meeting, body: Mapping[str, Any]) -> None:
        """Cancel, approve or deny registrants by id or email address; unknown ones are ignored."""
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
        self._daily.count(messages, limit, Label.MEDIUM)
        for each in people:
            if action == "cancel":
                each.status = "cancelled"
            elif each.status != "cancelled":
                each.status = "approved" if action == "approve" else "denied"

    def _check_registration(
        self, meeting: Meeting, *, full_status: int, new: Sequence[object]
    ) -> None:
        """Raise ApiError unless the meeting accepts registrations and has room for the new ones."""
        if not meeting.has_registration:
            raise errors.no_registration(meeting.id)
        if self.user(meeting.host_id).type == BASIC:
            raise errors.paid_only(meeting.host_id)
        if meeting.scheduled_end <= self.clock() and not meeting.live:
            raise errors.over()
        hosts = meeting.settings.get("alternative_hosts", "").lower().split(";")
        if {str(email).lower() for email in new} & {meeting.host_email.lower(), *hosts} - {""}:
            raise errors.host_cannot_register()
        registered = {each.email.lower() for each in meeting.registered}
        if len(registered | {str(email).lower() for email in new}) > self.max_registrants:
            raise errors.full(full_status)

    def _register(
        self, meeting: Meeting, body: Mapping[str, Any], *, auto_approve: bool
    ) -> Registrant:
        """Return the registrant with that address, or a new one with a new link if canceled."""
        key = body["email"].lower()
        existing = meeting.registrants.get(key)
        if existing and existing.status != "cancelled":
            return existing
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

    # What people do in Zoom

    def admit(self, meeting_id: int, passcode: str, token: str | None) -> Registrant | None:
        """Check a join link; return its registrant, or None if it is not a personal link.

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
        """The host starts the meeting: a new instance with a new uuid."""
        if meeting.live:
            raise CannotJoin("This meeting has already started.")
        meeting.uuid = self._new_uuid()
        meeting.instances.append(Instance(meeting.uuid, self.clock()))
        return meeting.instances[-1]

    def join(
        self, meeting: Meeting, registrant: Registrant | None, name: str, email: str
    ) -> Participant:
        if meeting.live is None:
            raise CannotJoin("The host has not started this meeting yet. (3,008)")
        if registrant:
            name, email = registrant.name, registrant.email
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
        """Find the meeting and instance of a stay. Raises CannotJoin."""
        for meeting in self.meetings.values():
            for instance in meeting.instances:
                if any(each is participant for each in instance.participants):
                    return meeting, instance
        raise CannotJoin("This meeting ID is not valid. (3,001)")

    def end(self, meeting: Meeting) -> Instance:
        """The host ends the meeting for everyone."""
        if meeting.live is None:
            raise CannotJoin("The host has not started this meeting yet. (3,008)")
        ended = meeting.live
        ended.end_time = self.clock()
        for participant in ended.present:
            participant.leave_time = ended.end_time
        return ended

    def ended_instance(self, key: str) -> tuple[Meeting, Instance]:
        """Find an ended instance by uuid, or the last one by meeting id. Raises ApiError."""
        for meeting in self.meetings.values():
            for instance in reversed(meeting.instances):
                if key in (str(meeting.id), instance.uuid) and instance.end_time:
                    return meeting, instance
        raise errors.not_ended()


def _id() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
