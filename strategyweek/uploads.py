"""Keeps the files that organizers upload in the admin, and discards all others."""

import io
from typing import Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from events.images.processing import MAX_UPLOAD_BYTES

# Of all files in one form.
MAX_FORM_BYTES = 3 * MAX_UPLOAD_BYTES


class OrganizersUploads(FileUploadHandler):
    """Keeps files in memory, as far as they fit. A larger one arrives without its end.

    The form then says so, and what else was entered isn't lost.
    """

    kept_bytes = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.content = io.BytesIO()
        request: Any = self.request
        in_admin = request.path.startswith("/admin/")
        self.is_kept = in_admin and request.user.is_authenticated and request.user.is_staff

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        room = min(MAX_UPLOAD_BYTES - self.content.tell(), MAX_FORM_BYTES - self.kept_bytes)
        if self.is_kept:
            self.kept_bytes += self.content.write(raw_data[:room])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile | None:
        if not self.is_kept:
            return None
        self.content.seek(0)
        return InMemoryUploadedFile(
            file=self.content,
            field_name=self.field_name,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )
