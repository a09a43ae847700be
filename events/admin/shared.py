"""What the admin pages of events and sessions share."""

import contextlib
import zoneinfo
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from events import schedule
from events.models import Event, Session
from events.templatetags.times import zone_name
from events.zoom import status as zoom_status


class EventTimeMixin:
    """Dates and hours are read and written in the event's own time zone."""

    def event_of(self, request: HttpRequest, object_id: str | None) -> Event | None:
        """The event that the page is about."""
        raise NotImplementedError

    def zone_of(self, request: HttpRequest, event: Event | None) -> zoneinfo.ZoneInfo:
        return (event or Event()).zone

    def edited(self, event: Event, object_id: str | None) -> Iterable[Session]:
        """The sessions of which people may learn something new when the page is saved."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        event = self.event_of(request, object_id)
        zone = self.zone_of(request, event)
        edited = self.edited(event, object_id) if request.method == "POST" and event else []
        with timezone.override(zone), contextlib.ExitStack() as edits:
            for session in edited:
                edits.enter_context(schedule.edit_session(session.pk))
            context = {
                "times_in": zone_name(zone),
                "event": event,
                "needs_attention": needing_attention(event) if event else [],
                **(extra_context or {}),
            }
            response = super().changeform_view(request, object_id, form_url, context)  # type: ignore[misc]
            # Rendered here: after this block its times would be another zone's.
            return response.render() if isinstance(response, TemplateResponse) else response


def by_id(rows: QuerySet[Any], **ids: str | None) -> Any:
    """The first of the rows with these ids, which come from an address or a form."""
    if all(str(value).isdecimal() for value in ids.values()):
        return rows.filter(**ids).first()
    return None


def needing_attention(event: Event) -> list[Session]:
    sessions = event.sessions.filter(zoom_status.needs_attention(timezone.now()))
    return list(sessions.select_related("event", "meeting"))
