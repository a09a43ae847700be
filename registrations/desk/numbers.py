"""The numbers on the admin's front page, counted by the database, each with a link to its list."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db.models import Count, Max, Q
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import languages
from events.admin.links import list_url
from events.admin.session import LINK_LABELS, filter_by_link
from events.models import Event, Session
from events.templatetags.times import short_day
from registrations import seats
from registrations.models import OutgoingMail, Registration
from registrations.us_states import US_STATES

CHART_DAYS = 28
CHART_HEIGHT = 60
EMAIL_DAYS = 7
RETURNING = {"no": gettext_lazy("First time"), "yes": gettext_lazy("Came before")}
# Of long lists, only the most frequent.
TOP = 10


class Figure(NamedTuple):
    """A number, its list, and how long its bar is, in percent of the longest."""

    label: str
    number: int
    url: str
    share: int = 0


class Bar(NamedTuple):
    """A day of the chart. Each takes 10 units of its width, the highest CHART_HEIGHT."""

    x: int
    y: int
    height: int
    title: str


class Chart(NamedTuple):
    """Registrations per day. `days` are those that had any, the newest first."""

    bars: list[Bar]
    first: str
    last: str
    most: int
    days: list[Figure]


class SessionSeats(NamedTuple):
    """How full a session is; `share` in percent of its spots, `idle` if others wait for them."""

    session: Session
    seated: int
    waiting: int
    idle: int
    share: int


def registration_totals(event: Event) -> list[Figure]:
    """How many people registered, and how many of them come, wait, canceled or were declined."""
    active, approval = Q(canceled_at=None), Registration.Approval
    found = event.registrations.aggregate(
        all=Count("pk"),
        yes=Count("pk", filter=active & Q(approval=approval.APPROVED)),
        pending=Count("pk", filter=active & Q(approval=approval.PENDING)),
        declined=Count("pk", filter=active & Q(approval=approval.DECLINED)),
        canceled=Count("pk", filter=Q(canceled_at__isnull=False, erased_at=None)),
        erased=Count("pk", filter=Q(erased_at__isnull=False)),
    )
    labels = {
        "all": _("Registrations in all"),
        "yes": _("Coming"),
        "pending": _("Waiting for approval"),
        "declined": _("Declined"),
        "canceled": _("Canceled"),
        "erased": _("Erased"),
    }
    return [
        Figure(label, found[name], people_url(event, **({} if name == "all" else {"coming": name})))
        for name, label in labels.items()
        if found[name] or name in ("all", "yes")
    ]


def people_url(event: Event, **filters: Any) -> str:
    return list_url(Registration, event__id__exact=event.pk, **filters)


def registrations_per_day(event: Event, now: dt.datetime) -> Chart | None:
    """The four weeks up to today, or up to the last registration if that was long ago."""
    newest = event.registrations.aggregate(newest=Max("created_at"))["newest"]
    if newest is None:
        return None
    is_recent = now - newest < dt.timedelta(days=CHART_DAYS)
    last = event.day_of(now if is_recent else newest)
    days = [last - dt.timedelta(days=back) for back in reversed(range(CHART_DAYS))]
    # Each day has its own bounds: it may have 23 or 25 hours.
    bounds = [(_midnight(event, day), _midnight(event, day, 1)) for day in days]
    counts = list(
        event.registrations.filter(created_at__gte=bounds[0][0])
        .aggregate(
            **{
                f"day{number}": Count("pk", filter=Q(created_at__gte=start, created_at__lt=end))
                for number, (start, end) in enumerate(bounds)
            }
        )
        .values()
    )
    names = [short_day(start, event.zone) for start, _end in bounds]
    urls = [
        people_url(event, created_at__gte=start.isoformat(), created_at__lt=end.isoformat())
        for start, end in bounds
    ]
    figures = with_shares(map(Figure, names, counts, urls))
    return Chart(
        bars=[_bar(place, figure) for place, figure in enumerate(figures)],
        first=names[0],
        last=names[-1],
        most=max(counts),
        days=[figure for figure in reversed(figures) if figure.number],
    )


def _midnight(event: Event, day: dt.date, later: int = 0) -> dt.datetime:
    date = day + dt.timedelta(days=later)
    return dt.datetime.combine(date, dt.time.min, event.zone).astimezone(dt.UTC)


def _bar(place: int, figure: Figure) -> Bar:
    height = figure.share * CHART_HEIGHT // 100
    # A day with one registration is seen next to one with hundreds.
    height = max(height, 2) if figure.number else 0
    return Bar(place * 10 + 1, CHART_HEIGHT - height, height, f"{figure.label}: {figure.number:,}")


def with_shares(figures: Iterable[Figure]) -> list[Figure]:
    found = list(figures)
    most = max((figure.number for figure in found), default=0) or 1
    return [figure._replace(share=-(-figure.number * 100 // most)) for figure in found]


def people_by(event: Event) -> dict[str, list[Figure]]:
    """Who is coming, by strategy, state, organization and language. Blank answers are left out.

    Also how many come again, if anyone does.
    """
    tracks = {track.pk: str(track) for track in event.tracks.all()}
    by_track = event.worded(_("By strategy"), "%(words)s")
    codes = {code: capfirst(languages.names([code])) for code in languages.codes()}
    return {
        by_track: _grouped(event, "strategies", "strategies__id__exact", tracks),
        _("By state"): _grouped(event, "us_state", "us_state", dict(US_STATES)),
        _("By organization"): _grouped(event, "organization", "organization__exact"),
        _("By language"): _grouped(event, "language", "language__exact", codes),
        _("New and returning"): _new_and_returning(event),
    }


def _grouped(
    event: Event, field: str, lookup: str, labels: Mapping[Any, Any] | None = None
) -> list[Figure]:
    """The most frequent values of a field. `lookup` filters the list of people by one."""
    people = event.registrations.admitted().exclude(**{field: None})
    if field != "strategies":
        people = people.exclude(**{field: ""})
    rows = people.order_by().values_list(field).annotate(count=Count("pk"))
    return with_shares(
        Figure(
            str((labels or {}).get(value, value)),
            count,
            people_url(event, coming="yes", **{lookup: value}),
        )
        for value, count in rows.order_by("-count", field)[:TOP]
    )


def _new_and_returning(event: Event) -> list[Figure]:
    people = event.registrations.admitted().with_returning().order_by()
    counts = dict(people.values_list("is_returning").annotate(count=Count("pk")))
    if not counts.get(True):
        return []
    return with_shares(
        Figure(
            str(label), counts.get(value == "yes", 0), people_url(event, coming="yes", before=value)
        )
        for value, label in RETURNING.items()
    )


def seats_by_session(event: Event, now: dt.datetime) -> list[SessionSeats]:
    """How full the sessions that take place are, and who waits."""
    sessions = list(event.sessions.taking_place())
    counts = seats.counts_by_session([session.pk for session in sessions])
    awaited = [each.pk for each in sessions if counts[each.pk].waiting and each.ends_at > now]
    idle = seats.idle_counts(awaited, now) if awaited else {}
    return [
        SessionSeats(
            session,
            *counts[session.pk],
            idle=idle.get(session.pk, 0),
            share=_percent(counts[session.pk].seated, session.capacity),
        )
        for session in sessions
    ]


def _percent(seated: int, capacity: int | None) -> int:
    """More people than spots fill the bar; without a limit there is none."""
    return min(100, seated * 100 // capacity) if capacity else 0


def zoom_meetings(event: Event) -> list[Figure]:
    """How many sessions have a link, get a meeting, or need someone to look at theirs."""
    names = ["there", *(["creating"] if event.creates_meetings else []), "attention"]
    return [
        Figure(
            str(LINK_LABELS[name]),
            filter_by_link(event.sessions.all(), name).count(),
            list_url(Session, event__id__exact=event.pk, link=name),
        )
        for name in names
    ]


def emails_by_state(event: Event, now: dt.datetime) -> list[Figure]:
    """The emails that were queued in the last days."""
    since = _midnight(event, event.day_of(now), 1 - EMAIL_DAYS)
    emails = OutgoingMail.objects.filter(registration__event=event, created_at__gte=since)
    counts = dict(emails.order_by().values_list("state").annotate(count=Count("pk")))
    filters = {"registration__event__id__exact": event.pk, "created_at__gte": since.isoformat()}
    return [
        Figure(str(label), counts[state], list_url(OutgoingMail, state__exact=state, **filters))
        for state, label in OutgoingMail.State.choices
        if state in counts
    ]
