"""What Django's log of the admin lacks: the event that an entry is about, and the values."""

from django.contrib.admin.models import LogEntry
from django.db import models

from events.models.event import Event


class HistoryEntry(models.Model):
    """The old and new values of what an entry of Django's log says was changed.

    `changes` are dictionaries, see `events.history.Change`. No one can read a secret there, nor
    anyone's name, except in entries about that person's own rows: `registrations.privacy` blanks
    those.
    """

    log = models.OneToOneField(
        LogEntry, on_delete=models.CASCADE, primary_key=True, related_name="details"
    )
    # The index below is used instead of the key's own.
    event = models.ForeignKey(
        Event, on_delete=models.SET_NULL, null=True, related_name="history", db_index=False
    )
    changes = models.JSONField(default=list)
    # The old values of what is hidden there, encrypted: they're needed to set it back.
    sealed = models.TextField(blank=True)

    class Meta:
        # People who may view a row may view its history.
        default_permissions = ()
        indexes = [models.Index(name="history_of_an_event", fields=["event", "-log"])]

    def __str__(self) -> str:
        return str(self.log)
