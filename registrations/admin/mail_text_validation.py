"""Checks of the texts that organizers write for emails."""

from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from events.text import markdown
from events.text.invitations import validate_no_personal_link
from registrations.mail import default_texts
from registrations.mail.default_texts import PLACEHOLDERS
from registrations.mail.merge import NAME
from registrations.mail_kinds import MailKind


def validate_line(text: str) -> None:
    """Reject line breaks: an email header has none."""
    if len(text.splitlines()) > 1:
        raise ValidationError(_("Write the subject on one line."))


def validate_text(text: str, kind: str) -> None:
    """Reject unknown placeholders, a host's Zoom link, and the start of our own merge fields."""
    if NAME[0] in text:
        raise ValidationError(_("This text has an invisible character. Please retype it."))
    default_texts.validate_placeholders(text, kind)
    validate_no_personal_link(text)


def validate_markdown(text: str) -> None:
    """Reject Markdown that would not look as intended."""
    if problems := markdown.problems(text):
        raise ValidationError(problems)


def placeholders(kind: MailKind) -> SafeString:
    """List the placeholders of a kind of email, with their meaning."""
    rows = [(f"{{{name}}}", PLACEHOLDERS[name]) for name in kind.spec.placeholders]
    return format_html(
        '<ul class="placeholders">{}</ul>',
        format_html_join("", "<li><code>{}</code> {}</li>", rows),
    )
