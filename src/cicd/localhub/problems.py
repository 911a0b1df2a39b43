"""What GitHub answers when it refuses."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class Problem(Exception):
    """An answer other than success.

    Attributes:
        status: HTTP status.
        body: GitHub's error object: message, documentation_url, status, sometimes errors.
        headers: beside the usual ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = errors
        self.body |= {"documentation_url": DOCUMENTATION, "status": str(status)}


def not_found() -> Problem:
    """404: it does not exist, or the token may not know that it does."""
    return Problem(404, "Not Found")


def forbidden() -> Problem:
    """403: the token lacks the permission."""
    return Problem(403, "Resource not accessible by integration")


def invalid(resource: str, field: str, message: str = "", code: str = "custom") -> Problem:
    """422 for one field. Codes: missing, missing_field, invalid, already_exists, unprocessable, custom."""
    error = {"resource": resource, "field": field, "code": code}
    return Problem(422, "Validation Failed", [error | ({"message": message} if message else {})])


def too_long(resource: str, field: str, limit: int) -> Problem:
    """422 for a text over its limit, in characters."""
    return invalid(resource, field, f"{field} is too long (maximum is {limit} characters)")
