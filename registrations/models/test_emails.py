"""Test emails that organizers send to themselves, to see that email arrives."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from registrations.models.registration import TOKEN_LENGTH, new_token


def forget_address(collector: Any, field: Any, emails: Any, using: str) -> None:
    """When an account is deleted, its test emails stay, without the address: use as `on_delete`."""
    models.SET_NULL(collector, field, emails, using)
    collector.add_field_update(field.model._meta.get_field("address"), "", emails)


class TestEmail(models.Model):
    """An email with a link that confirms it arrived; see mail/test_emails.py."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=forget_address, null=True, related_name="test_emails"
    )
    # Where it went.
    address = models.CharField(max_length=254, blank=True)
    # The address that it was sent from.
    sender = models.CharField(max_length=254)
    # In the link: anyone who has it can read the mailbox.
    token = models.CharField(max_length=TOKEN_LENGTH, unique=True, default=new_token)
    # When we gave it to the mail server, or tried to.
    sent_at = models.DateTimeField(default=timezone.now)
    arrived_at = models.DateTimeField(null=True)
    # Why it couldn't be sent, in words for organizers.
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-sent_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="test_email_that_arrived_has_no_error",
                condition=Q(arrived_at=None) | Q(error=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.address}, {self.sent_at}"
