"""Renders an email once for everyone who gets the same text."""

import contextlib
import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from events import languages
from events.links import absolute
from events.models import Event, Revision, Session
from events.sharing.palette import colors, dark_colors
from events.templatetags.times import at_clock, dates, day
from events.text.addresses import ascii_address
from events.timezones import time_label
from registrations.mail import default_texts
from registrations.mail.blocks import BlockRenderer, Content, content, sessions_block
from registrations.mail.merge import HTML_NAME, NAME, TOKEN, MergeTemplate, sessions_field
from registrations.mail_kinds import MailKind, MailTexts
from registrations.models import Announcement, MailText

MAX_TITLE_IN_SUBJECT = 40


@dataclass(frozen=True)
class MailContext:
    """What an email is about, apart from who gets it.

    `sessions` are those in which the person has a seat, canceled ones too, and `waiting` those
    whose waitlist they are on. `session` is the one that the email is about, and `old_revision`
    what it was before. `needs` are the session and the text of each access need that it confirms.
    """

    kind: MailKind
    event: Event
    language: str
    zone: zoneinfo.ZoneInfo
    sessions: tuple[Session, ...]
    session: Session | None = None
    old_revision: Revision | None = None
    announcement: Announcement | None = None
    waiting: tuple[Session, ...] = ()
    needs: tuple[tuple[int, str], ...] = ()

    @property
    def is_waitlisted(self) -> bool:
        """Whether the person is on the waitlist of the session that the email is about."""
        return self.session in self.waiting


class Composer:
    """Composes a batch of emails.

    `own_texts` are organizers' texts, by event and kind.
    """

    def __init__(
        self, now: dt.datetime, own_texts: Mapping[tuple[int, str], MailText] | None = None
    ) -> None:
        self.now = now
        self.blocks = BlockRenderer()
        self._own_texts = {
            key: content(languages.texts(text, "subject", "opening"), text)
            for key, text in (own_texts or {}).items()
        }
        self._events: dict[int, Content[Event]] = {}

    def compose(
        self,
        context: MailContext,
        *,
        sessions: Mapping[str, Sequence[Session]],
        variables: Mapping[str, Any] | None = None,
        special_texts: MailTexts | None = None,
        starts_at: dt.datetime | None = None,
        about: Sequence[Session] = (),
        calendar: tuple[bytes, str] = (b"", ""),
        headers: Mapping[str, str] | None = None,
    ) -> MergeTemplate:
        """Render the kind's two templates, with these additional variables.

        `sessions` says which ones are shown in which form: mails/session/<form>.txt and .html
        show one, and the templates place all of a form by its name. `starts_at` is what texts
        call {when}: by default, the start of the email's session. `about` are the sessions of which
        they give the {dates}: by default, all that are shown. `calendar` includes its method.
        Organizers write their own texts for the usual case, so a special one has texts of ours.
        """
        event, session = context.event, context.session
        contents = self.blocks.contents
        forms = tuple((form, contents(shown)) for form, shown in sessions.items() if shown)
        shown = tuple(each for _form, several in forms for each in several)
        own = None if special_texts else self._own_texts.get((event.pk, context.kind))
        return _composed(
            _Email(
                kind=context.kind,
                language=get_language(),
                zone=context.zone,
                today=self.now.astimezone(context.zone).date(),
                event=self._event(event),
                session=self.blocks.content(session) if session else None,
                own_texts=own,
                special_texts=special_texts,
                starts_at=starts_at or (session.starts_at if session else None),
                about=contents(about) or shown,
                forms=forms,
                variables=tuple((variables or {}).items()),
                calendar=calendar,
                headers=tuple((headers or {}).items()),
            )
        )

    def _event(self, event: Event) -> Content[Event]:
        if event.pk not in self._events:
            names = languages.texts(event, "name")
            key = (
                *(event.pk, event.slug, event.host, event.contact_email, event.colors, *names),
                *(event.time_zone, event.doors_open_minutes, event.zoom_mode),
            )
            self._events[event.pk] = content(key, event)
        return self._events[event.pk]


class _Email(NamedTuple):
    """Everything that an email shows, apart from who gets it. `forms` are the sessions in each."""

    kind: MailKind
    language: str
    zone: zoneinfo.ZoneInfo
    today: dt.date
    event: Content[Event]
    session: Content[Session] | None
    own_texts: Content[MailText] | None
    special_texts: MailTexts | None
    starts_at: dt.datetime | None
    about: tuple[Content[Session], ...]
    forms: tuple[tuple[str, tuple[Content[Session], ...]], ...]
    variables: tuple[tuple[str, Any], ...]
    calendar: tuple[bytes, str]
    headers: tuple[tuple[str, str], ...]


# Some ten kilobytes each. A week has about as many choices of sessions and time zones.
@lru_cache(maxsize=200)
def _composed(email: _Email) -> MergeTemplate:
    event, (calendar, method) = email.event.value, email.calendar
    blocks = {
        sessions_field(form, extension): sessions_block(f"{form}.{extension}", shown, email.zone)
        for form, shown in email.forms
        for extension in ("txt", "html")
    }
    html = "".join(blocks[sessions_field(form, "html")] for form, _shown in email.forms)
    template = _render_templates(
        email.kind,
        email.language,
        email.event,
        email.zone,
        _texts(email),
        email.variables,
        tuple(form for form, _shown in email.forms),
        languages.other_languages(html),
        method,
        email.headers,
    )
    shown = [each.value.pk for _form, several in email.forms for each in several]
    return template.with_blocks(
        blocks, calendar=calendar, zoom_link_sessions=shown if event.has_personal_links else []
    )


def _texts(email: _Email) -> tuple[str, str, SafeString, str]:
    """Subject and opening, the organizers' own or the default, with placeholders filled.

    The opening also as HTML, and its language, if it's another one.
    """
    default = email.special_texts or email.kind.spec.texts
    own = email.own_texts.value if email.own_texts else None

    def filled(name: str) -> tuple[str, SafeString]:
        # One that's only in another language has its values in that language, too.
        with languages.as_written(own, name) if own else contextlib.nullcontext():
            values = _values(email, in_subject=name == "subject")
            text = getattr(own, name, "") or getattr(default, name)
            marked = values | {"event": languages.marked(email.event.value, "name")}
            if email.session:
                marked["session"] = languages.marked(email.session.value, "title")
            return default_texts.fill(text, values), default_texts.fill_html(text, marked)

    language = languages.other_language(own, "opening") if own else ""
    return filled("subject")[0], *filled("opening"), language


def _values(email: _Email, *, in_subject: bool) -> dict[str, str]:
    """What placeholders stand for, in the current language."""
    event, zone, moment = email.event.value, email.zone, email.starts_at
    title = email.session.value.title if email.session else ""
    if in_subject:
        # The end of a long subject, which says when, is cut off on phones.
        brief = email.session.value.brief_title if email.session else ""
        title = Truncator(brief).chars(MAX_TITLE_IN_SUBJECT)
    return {
        "name": NAME,
        "event": event.name,
        "host": event.host,
        "session": title,
        "dates": _dates([each.value for each in email.about], zone),
        "when": _when(moment, email.today, zone, get_language()) if moment else "",
    }


def _dates(sessions: Sequence[Session], zone: zoneinfo.ZoneInfo) -> str:
    """Oct 16–23, without the sessions that are canceled, unless all of them are."""
    starts = [each.starts_at for each in sessions if each.takes_place]
    starts = starts or [each.starts_at for each in sessions]
    return _days(min(starts), max(starts), zone, get_language()) if starts else ""


@lru_cache(maxsize=500)
def _days(first: dt.datetime, last: dt.datetime, zone: zoneinfo.ZoneInfo, language: str) -> str:
    return dates(first, last, zone)


@lru_cache(maxsize=500)
def _when(moment: dt.datetime, today: dt.date, zone: zoneinfo.ZoneInfo, language: str) -> str:
    """tomorrow at 9:00 AM PDT"""
    local = moment.astimezone(zone)
    time = at_clock(moment, zone, time_label(moment, zone))
    match (local.date() - today).days:
        case 0:
            return _("today %(at_time)s") % {"at_time": time}
        case 1:
            return _("tomorrow %(at_time)s") % {"at_time": time}
    return _("on %(day)s %(at_time)s") % {"day": day(moment, zone), "at_time": time}


def _paragraphs(text: str, html: SafeString) -> dict[str, list[str]]:
    """An opening's paragraphs, in text and HTML."""

    def split(opening: str) -> list[str]:
        return [each.strip() for each in opening.split("\n\n") if each.strip()]

    return {"txt": split(text), "html": [mark_safe(each) for each in split(html)]}  # noqa: S308


def _of_each_email(event: Event) -> dict[str, Any]:
    """What the templates of all kinds use."""
    return {
        "name": NAME,
        "event": event,
        "me_url": absolute(reverse("me", args=[TOKEN])),
        "schedule_url": absolute(reverse("my_schedule", args=[TOKEN])),
        "site_url": absolute(event.get_absolute_url()),
        **colors(event.colors),
        "dark": dark_colors(event.colors),
    }


# Some hundred kilobytes per kind, for each of the readers' time zones.
@lru_cache(maxsize=200)
def _render_templates(
    kind: MailKind,
    language: str,
    content: Content[Event],
    zone: zoneinfo.ZoneInfo,
    texts: tuple[str, str, SafeString, str],
    variables: tuple[tuple[str, Any], ...],
    forms: tuple[str, ...],
    languages_of_blocks: tuple[str, ...],
    method: str,
    headers: tuple[tuple[str, str], ...],
) -> MergeTemplate:
    event, (subject, opening, opening_html, opening_language) = content.value, texts
    paragraphs = _paragraphs(opening, opening_html)
    shared = {
        "subject": subject.replace(NAME, "…"),
        "opening_language": opening_language,
        "zone": zone,
        **_of_each_email(event),
        **dict(variables),
    }

    def render(extension: str) -> str:
        blocks = {form: mark_safe(sessions_field(form, extension)) for form in forms}  # noqa: S308
        context = {**shared, **blocks, "paragraphs": paragraphs[extension]}
        return render_to_string(f"mails/{kind}.{extension}", context)

    html = render("html")
    if others := {*languages_of_blocks, *languages.other_languages(html)}:
        shared["language_note"] = languages.note_in_email(sorted(others))
        html = render("html")
    return MergeTemplate(
        # Titles may contain line breaks, headers may not.
        subject=" ".join(subject.split()),
        text=render("txt"),
        html=html.replace(NAME, HTML_NAME),
        reply_to=(ascii_address(event.contact_email),) if event.contact_email else (),
        headers=dict(headers),
        method=method,
        colors=event.colors,
    ).with_mime()
