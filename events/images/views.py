from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from events.images.processing import CONTENT_TYPE
from events.models import StoredImage

A_MONTH = 30 * 24 * 60 * 60


@require_safe
@cache_control(public=True, immutable=True, max_age=A_MONTH)
def image(request: HttpRequest, image: str) -> HttpResponse:
    """A picture that an organizer uploaded. What a key shows never changes."""
    found = get_object_or_404(StoredImage, key=image)
    return HttpResponse(bytes(found.content), content_type=CONTENT_TYPE)
