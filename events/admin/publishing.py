"""The page that publishes an event: a checklist whose lines are done or knowingly left out.

Another app adds its own lines with `@checks()`, in a module that its admin imports.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from events import publishing
from events.admin.links import change_url, list_url
from events.admin.notified import explain_emails
from events.admin.shared import counted, named
from events.languages import in_main_language, written_in
from events.models import Event, Session
from events.zoom import client as zoom_client
from events.zoom.status import needs_attention


class Link(NamedTuple):
    """Where something is done. `model`: who may change it sees the link."""

    text: str
    model: type[Model]
    url: str


class Line(NamedTuple):
    """How one thing stands: whether it's done, and in words, with what to do.

    `more` is HTML below it. `confirm` labels a checkbox with which the organizer says it's done;
    other lines that aren't done can be left out with one, unless they are required. `button` sends
    the form for the line's own purpose. `is_note`: there's nothing to do, but it's good to know.
    """

    is_done: bool
    text: str
    links: Sequence[Link] = ()
    more: str = ""
    confirm: str = ""
    is_required: bool = False
    button: str = ""
    is_note: bool = False


class Draft(NamedTuple):
    """What someone is about to publish."""

    event: Event
    # Those that aren't canceled or over, drafts too.
    upcoming: list[Session]
    # Those of them that are public, or will be.
    public: list[Session]
    request: HttpRequest
    now: dt.datetime


Check: TypeAlias = Callable[[Draft], Line]
Press: TypeAlias = Callable[[HttpRequest], None]


class Item(NamedTuple):
    """A line of the checklist. Its `name` is in the event's history if it was left out."""

    key: str
    name: str | Promise
    check: Check
    press: Press | None


_items: list[Item] = []


def checks(key: str, name: str | Promise, press: Press | None = None) -> Callable[[Check], Check]:
    """Register a function that says how one thing stands. `press` is what its button does."""

    def register(check: Check) -> Check:
        _items.append(Item(key, name, check, press))
        return check

    return register


class Checked(NamedTuple):
    """A line as this person sees it.

    `mark` is the value of its checkbox. It's another one when the line says something else, so no
    one leaves out what they haven't read.
    """

    item: Item
    line: Line
    links: list[Link]
    mark: str
    is_ticked: bool

    @property
    def is_settled(self) -> bool:
        return self.line.is_done or (self.is_ticked and not self.line.is_required)

    @property
    def is_left_out(self) -> bool:
        return not self.line.is_done and not self.line.confirm


def publish_paths(model_admin: ModelAdmin) -> list[URLPattern]:
    """Paths for `get_urls`, for people who may view events. To publish, they must change them."""

    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        event: Event | None = model_admin.get_object(request, unquote(object_id))
        if event is None:
            raise Http404
        if not model_admin.has_view_or_change_permission(request, event):
            raise PermissionDenied
        if request.method != "POST":
            return publish_page(model_admin, request, event)
        if not model_admin.has_change_permission(request, event):
            raise PermissionDenied
        return press_button(model_admin, request, event)

    checked = model_admin.admin_site.admin_view(view)
    return [path("<path:object_id>/publish/", checked, name="events_event_publish")]


def press_button(model_admin: ModelAdmin, request: HttpRequest, event: Event) -> HttpResponse:
    """Publish the event, or do what the button of a line does."""
    do = request.POST.get("do", "")
    if do == "publish":
        return publish_checked(model_admin, request, event)
    press = next((item.press for item in _items if item.press and item.key == do), None)
    if press is None:
        raise BadRequest
    press(request)
    # What was checked stays checked.
    kept = {name: request.POST.getlist(name) for name in ("chosen", "session", "tick")}
    return redirect(f"{request.path}?{urlencode(kept, doseq=True)}")


def publish_checked(model_admin: ModelAdmin, request: HttpRequest, event: Event) -> HttpResponse:
    """Publish the event if each line is done or was knowingly left out."""
    draft = draft_of(request, event)
    lines = checklist(draft)
    if event.status == Event.Status.DRAFT and not all(each.is_settled for each in lines):
        return publish_page(model_admin, request, event)
    chosen = [each for each in draft.public if each.status == Session.Status.DRAFT]
    for row in (event, *chosen):
        history_of(model_admin, row).remember(request, row)
    try:
        with transaction.atomic():
            published = publishing.publish(event=event, drafts=chosen)
            log_published(model_admin, request, event, published, lines)
    except publishing.CannotPublish:
        text = _("Nothing was done: someone may have beaten you to it. Here's how it is now.")
        messages.warning(request, text)
        return redirect(request.path)
    messages.success(request, _("“%(event)s” is published.") % {"event": event})
    event.refresh_from_db()
    explain_emails(request, event.sessions.filter(pk__in=[each.pk for each in draft.public]))
    remind_of_recording(request, event)
    return redirect("admin:events_event_change", event.pk)


def log_published(
    model_admin: ModelAdmin,
    request: HttpRequest,
    event: Event,
    published: list[Session],
    lines: list[Checked],
) -> None:
    """Record who published what, and what was left out."""
    with in_main_language():
        names = [str(each.item.name) for each in lines if each.is_left_out]
        left_out = _("Published without: %(names)s.") % {"names": get_text_list(names, _("and"))}
        published_text = left_out if names else _("Published.")
        history_of(model_admin, event).log_change(request, event, published_text)
        for session in published:
            text = _("Published with the event.")
            history_of(model_admin, session).log_change(request, session, text)


def history_of(model_admin: ModelAdmin, row: Model) -> Any:
    """The admin of this row, which keeps its history."""
    return model_admin.admin_site.get_model_admin(type(row))


def remind_of_recording(request: HttpRequest, event: Event) -> None:
    """Say so if a published event doesn't tell people what is recorded."""
    if event.status == Event.Status.PUBLISHED and not written_in(event, "recording_note"):
        text = _(
            "What do you record? Under “Everyone can take part”, say what, and who gets to see "
            "it, or that you don't record. People want to know before they register."
        )
        messages.warning(request, text)


def draft_of(request: HttpRequest, event: Event) -> Draft:
    """What is to be published: all of the week's drafts, or those that were checked."""
    now = timezone.now()
    sessions = event.sessions.filter(canceled_at=None, ends_at__gt=now)
    upcoming = list(sessions.select_related("event", "meeting").order_by("starts_at", "pk"))
    chosen = {str(each.pk) for each in upcoming} if may_change(request, Session) else set()
    entered = request.POST or request.GET
    if "chosen" in entered:
        chosen &= {*entered.getlist("session")}
    public = [each for each in upcoming if is_public(each) or str(each.pk) in chosen]
    return Draft(event, upcoming, public, request, now)


def is_public(session: Session) -> bool:
    return session.status == Session.Status.PUBLISHED


def may_change(request: HttpRequest, model: type[Model]) -> bool:
    return admin.site.get_model_admin(model).has_change_permission(request)


def checklist(draft: Draft) -> list[Checked]:
    """All lines, with the links that this person may use."""
    ticked = {*(draft.request.POST or draft.request.GET).getlist("tick")}
    found = []
    for item in _items:
        line = item.check(draft)
        said = "\n".join([item.key, line.text, line.more, *(link.text for link in line.links)])
        mark = hashlib.sha256(said.encode()).hexdigest()[:16]
        links = [link for link in line.links if may_change(draft.request, link.model)]
        found.append(Checked(item, line, links, mark, mark in ticked))
    return found


def publish_page(model_admin: ModelAdmin, request: HttpRequest, event: Event) -> HttpResponse:
    """Show the checklist. If it was sent, say which lines are still open."""
    draft = draft_of(request, event)
    lines = checklist(draft)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Publish “%(event)s”") % {"event": event},
        "event": event,
        "is_published": event.status == Event.Status.PUBLISHED,
        "lines": lines,
        "open": [each for each in lines if not each.is_settled] if request.POST else [],
        "drafts": [each for each in draft.upcoming if not is_public(each)],
        "chosen": draft.public,
        "may_publish": model_admin.has_change_permission(request, event),
        "may_publish_sessions": may_change(request, Session),
    }
    return TemplateResponse(request, "admin/events/event/publish.html", context)


@checks("sessions", gettext_lazy("sessions"))
def sessions_exist(draft: Draft) -> Line:
    url = list_url(Session, event__id__exact=draft.event.pk)
    links = [Link(_("See the sessions"), Session, url)]
    if draft.public:
        text = counted(
            len(draft.public),
            "People will see %(count)s session.",
            "People will see %(count)s sessions.",
        )
        return Line(True, text, links)
    if draft.upcoming:
        return Line(False, _("All sessions are drafts. Choose which ones to publish."), links)
    text = _("This week has no upcoming sessions. Add one, so people can register.")
    return Line(False, text, links)


@checks("links", gettext_lazy("Zoom links"))
def sessions_have_links(draft: Draft) -> Line:
    """Each has a link, or gets its meeting as soon as it's public."""
    event, now = draft.event, draft.now
    without = {*event.sessions.without_link(now).values_list("pk", flat=True)}
    trouble = {*event.sessions.filter(needs_attention(now)).values_list("pk", flat=True)}
    created = event.creates_meetings and zoom_client.is_configured()
    later = {each.pk for each in draft.public if created and not is_public(each)} - trouble
    missing = [each for each in draft.public if each.pk in (without | trouble) - later]
    if missing:
        text = counted(
            len(missing),
            "%(count)s session has no working Zoom link yet.",
            "%(count)s sessions have no working Zoom link yet.",
        )
        links = [Link(named(each), Session, change_url(each, "meeting-group")) for each in missing]
        return Line(False, text, links)
    if without & later:
        text = _("We'll create the Zoom meetings within a few minutes after you publish.")
        return Line(True, text)
    return Line(bool(draft.public), _zoom_text(draft))


def _zoom_text(draft: Draft) -> str:
    if not draft.public:
        return _("No sessions are going public yet, so no Zoom links are needed.")
    return _("Each session has a Zoom link.")


@checks("contact", gettext_lazy("a contact"))
def event_has_contact(draft: Draft) -> Line:
    links = [Link(_("Change the contact"), Event, change_url(draft.event, "id_contact_email"))]
    if contact := draft.event.contact_email:
        text = _("People write to %(contact)s.") % {"contact": contact}
        return Line(True, text, links)
    text = _("Enter a contact email, so people have someone to write to. Every week needs one.")
    return Line(False, text, links, is_required=True)
