"""The table of server errors: codes and words, with our exit code and advice."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode
from imgcli.core.option import option
from imgcli.core.params import PARAMETERS
from imgcli.dataclass import dataclass

TEXT_MODEL = "gpt-6-luna"
"""A text model that runs the image tool and has no shutdown date (facts of November 2026)."""


class Progress(Enum):
    """How far the server had visibly come when it reported a problem."""

    REFUSING = "refusing"  # it answered with an HTTP status
    ANSWERING = "answering"  # it answered 200, and no work was to be seen
    GENERATING = "drawing"  # an image call had begun, or tokens were counted


@dataclass(frozen=True)
class ErrorRule:
    """One kind of refusal, recognised by `codes` or, where servers differ, by `words` of the message.

    `cause` is for who can get around it.
    """

    exit_code: ExitCode
    what: str
    advice: str
    codes: frozenset[str] = field(default_factory=frozenset)
    words: tuple[str, ...] = ()
    cause: Cause | None = None

    def fits(self, codes: frozenset[str], message: str = "") -> bool:
        """Return whether this is the rule for a refusal with these codes and this message, in lower case."""
        return bool(self.codes & codes) or any(word in message for word in self.words)


VERIFY = ErrorRule(
    ExitCode.AUTH,
    "The organization must be verified before it may use this model",
    "Verify it at https://platform.openai.com/settings/organization/general (it can take 15 minutes to "
    f"take effect), or choose another {option('image-model')}.",
    words=("must be verified",),
)

MODERATION = ErrorRule(
    ExitCode.REFUSED,
    "The safety check refused this",
    f"Change the prompt, or try {option('moderation', 'low')}.",
    frozenset(
        {
            "moderation_blocked",
            "content_policy_violation",
            "image_content_policy_violation",
            "content_filter",
            "bio_policy",
            "misalignment_policy_violation",
            "invalid_prompt",
        }
    ),
    ("safety system", "content policy", "usage policy"),
)

BILLING = ErrorRule(
    ExitCode.BILLING,
    "The account has no credit left, or has reached a spending limit",
    "Check https://platform.openai.com/settings/organization/billing; running it again does not help.",
    frozenset(
        {
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
        }
    ),
    (
        "exceeded your current quota",
        "billing hard limit",
        "spend limit",
        "credit balance",
        "insufficient credit",
    ),
)

KEY = ErrorRule(
    ExitCode.AUTH,
    "The server refused the API key",
    "Check OPENAI_API_KEY: https://platform.openai.com/api-keys shows your keys. "
    f"`imgcli gen ... {option('demo')}` needs none.",
    frozenset({"invalid_api_key", "account_deactivated"}),
    ("incorrect api key",),
)

NO_TOOL = ErrorRule(
    ExitCode.REFUSED,
    "The text model cannot generate images",
    f"Choose another text model: imgcli gen ... {option('model', TEXT_MODEL)}",
    words=("hosted tool 'image_generation' is not supported", "tool 'image_generation' is not supported"),
)

NO_MODEL = ErrorRule(
    ExitCode.REFUSED,
    "The server does not have this model",
    f"Choose another model: imgcli gen ... {option('model', TEXT_MODEL)}",
    frozenset({"model_not_found"}),
    cause=Cause.MODEL_NOT_FOUND,
)

NO_PREVIEW = ErrorRule(
    ExitCode.REFUSED,
    "The server requires at least one partial image",
    f"Ask for one: imgcli gen ... {option('partials', 1)}",
    words=("non-zero partial images",),
)

PREVIOUS_RESPONSE_NOT_FOUND = ErrorRule(
    ExitCode.REFUSED,
    "The server cannot continue the conversation",
    f"Send the image itself: imgcli gen {option('image', 'FILE')} ...",
    frozenset({"previous_response_not_found"}),
    ("items are not persisted", "previous response with id", "previous response cannot be used"),
    Cause.PREVIOUS_RESPONSE_NOT_FOUND,
)
"""Deleted (after 30 days), never kept (`store` false), or not allowed to be kept (zero data retention)."""

RESPONSE_FORMAT = ErrorRule(
    ExitCode.REFUSED,
    "The server does not support the parameter response_format",
    "Name a model that imgcli knows (imgcli models), for which it is not sent.",
    words=("response_format",),
    cause=Cause.RESPONSE_FORMAT,
)

IMAGE = ErrorRule(
    ExitCode.REFUSED,
    "The server refused an image that came with the prompt",
    f"Try another {option('image')}, or save it again as PNG.",
    frozenset(
        {
            "invalid_image",
            "invalid_image_file",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "unsupported_file_mimetype",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        }
    ),
)
"""The codes of SDK 3.54.0's ResponseError, and two that the Images API was seen to use."""

MASK = ErrorRule(
    ExitCode.REFUSED,
    "The server refused the mask",
    f"It must be a PNG with transparent areas, the same size as the first {option('image')}.",
    frozenset({"invalid_mask_image_format"}),
)

BUSY = ErrorRule(
    ExitCode.BUSY,
    "The server is busy",
    "Try again in a minute.",
    frozenset({"rate_limit_exceeded", "slow_down", "server_is_overloaded"}),
    ("overloaded",),
)

FAILED = ErrorRule(
    ExitCode.UNKNOWN,
    "The server failed",
    CHECK_USAGE,
    frozenset({"server_error", "internal_error", "internal_server_error", "vector_store_timeout"}),
)

RULES = (
    VERIFY,
    MODERATION,
    BILLING,
    KEY,
    NO_TOOL,
    NO_MODEL,
    NO_PREVIEW,
    PREVIOUS_RESPONSE_NOT_FOUND,
    RESPONSE_FORMAT,
    IMAGE,
    MASK,
    BUSY,
    FAILED,
)

REFUSAL_TYPES = frozenset({"invalid_request_error", "image_generation_user_error"})

OPTIONS = {
    **{one.api_name: one.flag for one in PARAMETERS if one.api_name},
    "partial_images": "partials",
    "mask": "mask",
    "markup": "markup",
    "input_image_mask": "mask",
    "image": "image",
    "images": "image",
    "image_url": "image",
}
"""The long name of our option behind a parameter that the server names, by its path in the body."""

_ADDRESS = f"{option('base-url')} (OPENAI_BASE_URL)"
WRONG_ADDRESS = f"Check {_ADDRESS}."
WRONG_PATH = f"Check {_ADDRESS}: most servers need /v1 at the end."
_MEND = f"Change the request; imgcli gen {option('dry-run')} ... shows what is sent."

STATUSES: dict[int, ErrorRule] = {
    401: KEY,
    402: BILLING,
    403: ErrorRule(
        ExitCode.AUTH,
        "The server does not allow this",
        "Check that OPENAI_API_KEY, its project and your country may use this model.",
    ),
    404: ErrorRule(ExitCode.REFUSED, "The server did not find what was asked for", WRONG_ADDRESS),
    405: ErrorRule(ExitCode.REFUSED, "The server does not accept requests at this address", WRONG_ADDRESS),
    407: ErrorRule(
        ExitCode.UNREACHABLE,
        "The proxy requires a login",
        "Set it in HTTPS_PROXY as http://user:password@host:port.",
        cause=Cause.PROXY_FAILED,
    ),
    408: ErrorRule(ExitCode.UNKNOWN, "The server timed out", CHECK_USAGE),
    409: ErrorRule(ExitCode.UNKNOWN, "The server says that the request conflicts with another", CHECK_USAGE),
    413: ErrorRule(
        ExitCode.REFUSED,
        "The request is too large for the server",
        "Send fewer or smaller images, or a shorter prompt.",
    ),
    429: BUSY,
}

BUSY_STATUSES = frozenset({429, 503})
"""The statuses by which a server says that it did not start."""

SERVER_FAULT = 500
"""From this status on the server failed, and what it had done by then is unknown."""

NO_ENDPOINT = ErrorRule(
    ExitCode.REFUSED,
    "The server did not find what was asked for",
    f"Try {option('api', 'images')}: this server seems to have no Responses API.",
)
"""A 404 in JSON: an API answered, not a web site."""

GATEWAY = ErrorRule(ExitCode.UNKNOWN, "A gateway in front of the server failed", CHECK_USAGE)
GATEWAY_STATUSES = frozenset({502, 503, 504})

UNREACHED = ErrorRule(
    ExitCode.UNREACHABLE,
    "A proxy could not reach the server",
    f"Try again; if that does not help, check {_ADDRESS} and the proxy.",
    words=(
        "no server is available to handle this request",  # HAProxy
        "no healthy upstream",  # Envoy
        "before headers. reset reason: connection failure",
        "before headers. reset reason: connection timeout",
        "before headers. reset reason: remote connection failure",
        "err_connect_fail",  # Squid
        "err_dns_fail",
        "connect failed (privoxy",
        "was unable to connect to the remote web server",  # tinyproxy
    ),
    cause=Cause.PROXY_FAILED,
)
"""What proxies write that could not connect: then no server can have begun with the request."""

REJECTED = ErrorRule(ExitCode.REFUSED, "The server refused the request", _MEND)
STOPPED = ErrorRule(ExitCode.UNKNOWN, "The server stopped", CHECK_USAGE)


def charged(exit_code: ExitCode, progress: Progress) -> Charged:
    """Return what a refusal means for the money: nothing is certain once the server had begun."""
    if exit_code is ExitCode.UNKNOWN or progress is Progress.GENERATING:
        return Charged.MAYBE
    before_work = (ExitCode.BUSY, ExitCode.BILLING, ExitCode.AUTH, ExitCode.UNREACHABLE)
    return Charged.NO if progress is Progress.REFUSING or exit_code in before_work else Charged.MAYBE
