"""Reports from Zoom that someone joined or left, and who counts as attending."""

import datetime as dt

from events.models import Session, ZoomReport
from registrations.models import Attendance, PersonalLink, Registration, Seat
from registrations.zoom import attendance
from tests.registrations.zoom.conftest import NINE, UUID, ZOOM_ID

TEN, ELEVEN = NINE + dt.timedelta(hours=1), NINE + dt.timedelta(hours=2)


def written(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def save_report(kind: str, at: dt.datetime | None = NINE, uuid: object = UUID, **person) -> None:
    """A report from Zoom that someone "joined" or "left"."""
    times = {"joined": "join_time", "left": "leave_time"}
    participant = {
        "user_id": "16778240",
        "user_name": "Alice A.",
        "participant_uuid": "A",
        "email": "",
        times[kind]: written(at),
        **person,
    }
    ZoomReport.objects.create(
        key=str(ZoomReport.objects.count()),
        kind=f"meeting.participant_{kind}",
        zoom_id=ZOOM_ID,
        payload={"object": {"id": str(ZOOM_ID), "uuid": uuid, "participant": participant}},
    )


def report(kind: str, at: dt.datetime | None = NINE, **person) -> None:
    save_report(kind, at, **person)
    attendance.apply_reports()


def link(registration: Registration, session: Session, registrant_id: str) -> PersonalLink:
    return PersonalLink.objects.create(
        seat=registration.seats.get(session=session),
        meeting=session.meeting,
        zoom_id=ZOOM_ID,
        email=registration.email,
        registrant_id=registrant_id,
    )


def attended() -> list[tuple[str, str]]:
    """The people whose seats are ticked, and the sessions."""
    seats = Seat.objects.filter(attended=True).select_related("registration", "session")
    return sorted((seat.registration.name, seat.session.slug) for seat in seats)


def only_row() -> Attendance:
    return Attendance.objects.get()
