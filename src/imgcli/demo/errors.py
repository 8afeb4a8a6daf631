"""OpenAI's refusals: their HTTP status, their body, their wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class ApiError(Exception):
    """A request that OpenAI would refuse: HTTP status and the four fields of the `error` object."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None

    def body(self) -> dict[str, object]:
        """Format the JSON body that goes with the status."""
        fields = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": fields}


def invalid(code: str | None, message: str, param: str | None, status: int = 400) -> ApiError:
    """Create the error for a fault in the request itself."""
    return ApiError(status, "invalid_request_error", code, message, param)


def invalid_value(value: object, choices: Sequence[str], param: str) -> ApiError:
    """Create the error for a value that is none of the choices."""
    quoted = [f"'{choice}'" for choice in choices]
    listed = " and ".join(quoted) if len(quoted) < 3 else ", ".join(quoted[:-1]) + f", and {quoted[-1]}"  # noqa: PLR2004
    return invalid("invalid_value", f"Invalid value: '{value}'. Supported values are: {listed}.", param)


def invalid_type(wanted: str, value: object, param: str) -> ApiError:
    """Create the error for a value of the wrong JSON type; `wanted` reads like "an integer"."""
    names = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    got = "null" if value is None else names.get(type(value), "an object")
    return invalid(
        "invalid_type", f"Invalid type for '{param}': expected {wanted}, but got {got} instead.", param
    )


def missing(param: str) -> ApiError:
    """Create the error for a required parameter that was not sent."""
    return invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def unknown_parameter(param: str) -> ApiError:
    """Create the error for a parameter that the endpoint does not have."""
    return invalid("unknown_parameter", f"Unknown parameter: '{param}'.", param)


def unsupported_here(param: str, what: str) -> ApiError:
    """Create the error for something that OpenAI offers and the demo does not."""
    return invalid("unsupported_parameter", f"The offline demo does not offer {what}.", param)
