"""Whoever has a seat already knows the session as it is, and got the seat when it was made."""

from typing import Any

from django.db import migrations
from django.db.models import F, OuterRef, Subquery


def know_the_newest(apps: Any, schema_editor: Any) -> None:
    Seat = apps.get_model("registrations", "Seat")
    Session = apps.get_model("events", "Session")
    newest = Session.objects.filter(pk=OuterRef("session")).values("revision")
    Registration = apps.get_model("registrations", "Registration")
    Registration.objects.update(email_since=F("created_at"))
    Seat.objects.update(told_revision=Subquery(newest), seated_at=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("registrations", "0002_mail")]

    operations = [migrations.RunPython(know_the_newest, migrations.RunPython.noop)]
