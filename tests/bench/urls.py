import os
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path

from strategyweek.urls import urlpatterns as product

# The bytes that the event page answered, as the bench has found them.
PAGE = Path(os.environ["BENCH_PAGE"])


def bare(request: HttpRequest) -> HttpResponse:
    """What a Django view costs that does nothing: the ceiling."""
    global _bytes
    if _bytes is None:
        _bytes = PAGE.read_bytes()
    return HttpResponse(_bytes)


_bytes: bytes | None = None

urlpatterns = [path("bench/bare/", bare), *product]
