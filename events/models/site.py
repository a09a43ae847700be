"""What the owner entered on the admin's page “Set up”."""

from django.db import models
from django.db.models import Q
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class SiteSettings(models.Model):
    """A single row, read and written by `events.site_settings`.

    The email server and the Zoom credentials are encrypted. The server's environment wins over
    both, and over the sender.
    """

    sender = models.CharField(max_length=320, blank=True)
    email_server = models.TextField(blank=True)
    zoom_credentials = models.TextField(blank=True)
    # When the server or the sender was last changed: an earlier test email proves nothing.
    email_changed_at = models.DateTimeField(null=True)
    # When the stored server last accepted the password.
    email_answered_at = models.DateTimeField(null=True)
    # When Zoom last accepted the credentials and named all scopes.
    zoom_answered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("set up")
        # Only superusers may see or change it.
        default_permissions = ()
        constraints = [models.CheckConstraint(name="site_has_one_settings_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return capfirst(gettext("set up"))
