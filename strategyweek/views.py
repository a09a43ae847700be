"""Pages of the site as a whole."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Explain how to send the form again."""
    return render(request, "403_csrf.html", status=403)
