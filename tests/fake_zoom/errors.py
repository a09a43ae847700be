"""Zoom's documented error responses: status, code and message.

Source: https://developers.zoom.us/docs/api/errors/ and the error codes listed for each call.
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An error response."""

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"code": code, "message": message}


def unknown_call() -> ApiError:
    return ApiError(404, 2300, "This API endpoint is not recognized.")


def too_many(headers: Mapping[str, str] | None = None) -> ApiError:
    message = "You have reached the maximum per-second rate limit for this API. Try again later."
    return ApiError(429, 429, message, headers)


def not_json() -> ApiError:
    return ApiError(400, 300, "Request Body should be a valid JSON object.")


def invalid(*fields: str) -> ApiError:
    error = ApiError(400, 300, "Validation Failed.")
    error.body["errors"] = [{"field": name, "message": "Invalid field."} for name in fields]
    return error


def invalid_page() -> ApiError:
    return ApiError(400, 300, "The next page token is invalid or expired.")


def invalid_token() -> ApiError:
    return ApiError(401, 124, "Invalid access token.")


def expired_token() -> ApiError:
    return ApiError(401, 124, "Access token is expired.")


def no_user(user: str) -> ApiError:
    return ApiError(404, 1001, f"User does not exist: {user}.")


def no_meeting(meeting: str) -> ApiError:
    return ApiError(404, 3001, f"Meeting does not exist: {meeting}.")


def not_ended() -> ApiError:
    return ApiError(404, 3001, "Meeting ID is invalid or not end.")


def in_progress() -> ApiError:
    return ApiError(400, 3002, "Sorry, you cannot delete this meeting since it is in progress.")


def no_registration(meeting: int) -> ApiError:
    return ApiError(404, 404, f"Registration has not been enabled for this meeting: {meeting}.")


def paid_only(user: str) -> ApiError:
    return ApiError(400, 200, f"Only available for Paid users: {user}.")


def full(status: int) -> ApiError:
    return ApiError(status, 3043, "Meeting has reached maximum attendee capacity.")


def host_cannot_register() -> ApiError:
    return ApiError(400, 3027, "Host can not register.")


def over() -> ApiError:
    message = (
        "Meeting is over, you can not register now. "
        "If you have any questions, please contact the Meeting host."
    )
    return ApiError(400, 3038, message)


def not_scheduled() -> ApiError:
    message = (
        "This API can only be used for scheduled meeting(meeting type: 2). "
        "Batch registration is not supported for other meeting types."
    )
    return ApiError(400, 303, message)
