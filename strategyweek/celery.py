"""The Celery application: `celery -A strategyweek worker`, `celery -A strategyweek beat`."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "strategyweek.settings")

TRANSPORT_ALIASES["embedded"] = "strategyweek.embedded_broker:Transport"

app = Celery("strategyweek")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["strategyweek.accounts"])
