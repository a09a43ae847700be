"""Rendering an email once for everyone who gets the same text."""

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import mark_safe

from events.links import absolute
from events.models import Event, Revision, Session
from registrations.mail import default_texts
from registrations.mail.blocks import PALETTE, Kept, Parts
from registrations.mail.merge import NAME, TOKEN, MergeTemplate, MessageTemplate
from registrations.mail_kinds import MailTexts
from registrations.models import (
    TOKEN_LENGTH,
    Announcement,
    OutgoingMail,
)

Kind = OutgoingMail.Kind

SAMPLE_TOKEN = "sample-token-for-a-preview".ljust(TOKEN_LENGTH, "-")
# Some hundred kilobytes for each kind, in as many time zones as there are readers.
_frames = Kept(200)


@dataclass(frozen=True)
class MailContext:
    """What a mail is about, apart from whose it is.

    `sessions` are those that the person has a seat in, also canceled ones, `waiting` those whose
    waiting list they are on; `session` is the one that the mail is about, `was` what it was before.
    `needs` are the session and the words of each access need that it confirms.
    """

    kind: Kind
    event: Event
    zone: zoneinfo.ZoneInfo
    sessions: tuple[Session, ...]
    session: Session | None = None
    was: Revision | None = None
    announcement: Announcement | None = None
    waiting: tuple[Session, ...] = ()
    needs: tuple[tuple[int, str], ...] = ()

    @property
    def is_waitlisted(self) -> bool:
        """Whether the person waits for a place in the session that the mail is about."""
        return self.session in self.waiting


class Composer:
    """Mails that are written together: whatever they share is fetched and rendered once."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.parts = Parts()
        self.own_texts: Mapping[tuple[int, str], MailTexts] = {}

    def words(
        self, topic: MailContext, special: MailTexts | None = None, **values: str
    ) -> MailTexts:
        """Subject and opening words, the organizers' own or ours, with the placeholders filled.

        Their own words are for the kind's usual case; they may be wrong in a special one, which
        has words of ours.
        """
        ours, none = special or topic.kind.spec.texts, MailTexts("", "")
        own = none if special else self.own_texts.get((topic.event.pk, topic.kind), none)
        known = {"name": NAME, "event": topic.event.name, "host": topic.event.host, **values}
        return MailTexts(
            *(
                default_texts.substitute(mine or our, known)
                for mine, our in zip(own, ours, strict=True)
            )
        )

    def compose(
        self,
        topic: MailContext,
        words: MailTexts,
        context: Mapping[str, Any],
        *,
        sessions: Mapping[str, Sequence[Session]],
        calendar: bytes = b"",
        method: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> MergeTemplate:
        """Render the two templates of the topic's kind, once for all that differ only in blocks.

        `sessions` says which ones are shown in which form: mails/session/<form>.txt and .html
        show one, and the templates place all of a form by its name.
        """
        forms = [form for form, shown in sessions.items() if shown]
        frame = self._frame(
            topic,
            words,
            context=tuple(context.items()),
            forms=tuple(forms),
            method=method,
            headers=tuple((headers or {}).items()),
        )
        blocks = {
            _block(form, extension): self.parts.sessions(
                f"{form}.{extension}", sessions[form], topic.zone
            )
            for form in forms
            for extension in ("txt", "html")
        }
        in_blocks = [each.pk for form in forms for each in sessions[form]]
        is_personal = topic.event.has_personal_links
        return MergeTemplate(
            *(frame, blocks, calendar),
            linked=tuple(in_blocks) if is_personal else (),
            own_link=self.parts.own_link() if is_personal else {},
        )

    def _frame(
        self,
        topic: MailContext,
        words: MailTexts,
        *,
        context: tuple[tuple[str, Any], ...],
        forms: tuple[str, ...],
        method: str,
        headers: tuple[tuple[str, str], ...],
    ) -> MessageTemplate:
        event = topic.event
        shown = (event.pk, event.slug, event.name, event.host, event.contact_email)
        doors = (event.time_zone, event.doors_open_minutes)
        key = (topic.kind, *shown, doors, topic.zone.key, words, context, forms, method, headers)
        return _frames.once(
            key, lambda: _render_template(topic, words, dict(context), forms, method, headers)
        )


def _render_template(
    topic: MailContext,
    words: MailTexts,
    context: Mapping[str, Any],
    forms: tuple[str, ...],
    method: str,
    headers: tuple[tuple[str, str], ...],
) -> MessageTemplate:
    event = topic.event
    shared = {
        "name": NAME,
        "subject": words.subject.replace(NAME, "…"),
        "paragraphs": [each.strip() for each in words.opening.split("\n\n") if each.strip()],
        "event": event,
        "zone": topic.zone,
        "me_url": absolute(reverse("me", args=[TOKEN])),
        "site_url": absolute(event.get_absolute_url()),
        **PALETTE,
        **context,
    }

    def rendered(extension: str) -> str:
        placed = {form: mark_safe(_block(form, extension)) for form in forms}  # noqa: S308
        return render_to_string(f"mails/{topic.kind}.{extension}", {**shared, **placed})

    return MessageTemplate(
        # A title may hold line breaks of any kind, a header may not.
        subject=" ".join(words.subject.split()),
        text=rendered("txt"),
        html=rendered("html"),
        reply_to=(event.contact_email,) if event.contact_email else (),
        headers=dict(headers),
        method=method,
    )


def _block(form: str, extension: str) -> str:
    """The stand-in for all sessions that a mail shows in this form."""
    return f"\ue000{form}.{extension}\ue000"
