"""Several people at one mailbox: up to PEOPLE_PER_MAILBOX per event, told apart by their names."""

import secrets
from collections.abc import Collection

from django.conf import settings
from django.core.validators import EmailValidator
from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from registrations.models import Registration
from registrations.models.registration import PEOPLE_PER_MAILBOX
from registrations.validators import name_key

# What decides whether a mailbox admits someone.
DECISIVE = {"email", "name", "canceled_at"}


class CannotRegister(Exception):
    """The mailbox doesn't admit this person. `text` says why."""

    text: str | Promise


class AlreadyRegistered(CannotRegister):
    """Another active registration for the event has this address and name."""

    text = _("Someone with this name is already registered with this email.")


class MailboxFull(CannotRegister):
    """The mailbox has PEOPLE_PER_MAILBOX active registrations for the event."""

    text = _("Six people are already registered with this email. That's as many as we can take.")


def insert(registration: Registration) -> list[Registration]:
    """Insert it, unless this person is registered already. Raises MailboxFull.

    Returns all registrations of the mailbox for the event, with the person's active one at the end.
    """
    mailbox = Registration.objects.filter(
        event=registration.event_id, email_key=registration.email_key
    )
    mailbox = mailbox.only(
        *("event", "name_key", "mailbox_number", "token"),
        *("approval", "canceled_at", "canceled_by_organizer", "unsubscribed_at"),
    )
    # The unique constraints decide which of two simultaneous requests is first. If that one is
    # canceled before we read it, try again.
    _take_number(registration, 1)
    while True:
        Registration.objects.bulk_create([registration], ignore_conflicts=True)
        found = list(mailbox.order_by("pk"))
        active = [each for each in found if not each.canceled_at]
        for each in active:
            if each.name_key == registration.name_key:
                others = [other for other in found if other is not each]
                if each.token == registration.token:
                    _avoid_numbers_of_others(registration, each.pk, others)
                return [*others, each]
        _take_number(registration, _free_number([each.mailbox_number for each in active]))


def _avoid_numbers_of_others(
    registration: Registration, pk: int, others: Collection[Registration]
) -> None:
    """Don't reuse the number of someone else who canceled, as long as there are others.

    Their calendar entries are taken out by its UIDs, and their address at Zoom is revoked.
    """
    names = registration.name_key
    used = {
        each.mailbox_number for each in others if not each.canceled_at or each.name_key != names
    }
    unused = {*range(1, PEOPLE_PER_MAILBOX + 1)} - used
    if registration.mailbox_number in used and unused:
        _take_number(registration, min(unused))
        Registration.objects.filter(pk=pk).update(
            mailbox_number=registration.mailbox_number, zoom_email=registration.zoom_email
        )


def save(registration: Registration, fields: Collection[str]) -> None:
    """Save these fields of someone.

    If their address, name or cancellation is one of them, raises AlreadyRegistered or MailboxFull.
    At a new address they get its first free number.
    """
    if DECISIVE.isdisjoint(fields):
        registration.save(update_fields=fields)
        return
    for _attempt in range(PEOPLE_PER_MAILBOX):
        numbers, changed = require_free(registration), {*fields}
        if "email" in fields or registration.mailbox_number in numbers:
            _take_number(registration, _free_number(numbers))
            changed |= {"mailbox_number", "zoom_email"}
        try:
            with transaction.atomic():
                registration.save(update_fields=changed)
        except IntegrityError:
            # Someone else has just taken the number or the name.
            continue
        return
    raise MailboxFull


def require_free(registration: Registration) -> set[int]:
    """The numbers of the others at its mailbox. Raises AlreadyRegistered or MailboxFull.

    It does so before the database would: PostgreSQL logs the address.
    """
    if registration.canceled_at:
        return set()
    others = (
        Registration.objects.active()
        .exclude(pk=registration.pk)
        .filter(event=registration.event_id, email_key=registration.email_key)
    )
    names = dict(others.values_list("name_key", "mailbox_number"))
    if name_key(registration.name) in names:
        raise AlreadyRegistered
    _free_number(names.values())
    return {*names.values()}


def _free_number(taken: Collection[int]) -> int:
    for number in range(1, PEOPLE_PER_MAILBOX + 1):
        if number not in taken:
            return number
    raise MailboxFull


def _take_number(registration: Registration, number: int) -> None:
    registration.mailbox_number = number
    if number == 1:
        registration.zoom_email = registration.email
    else:
        registration.zoom_email = f"guest-{secrets.token_hex(8)}@{_guest_domain()}"


def _guest_domain() -> str:
    """The site's own domain. Zoom sends nothing there, but rejects localhost and IP addresses."""
    host = settings.SITE_ADDRESS.hostname or ""
    is_domain = EmailValidator.domain_regex.match(host)
    return host if is_domain else "guests.invalid"
