"""OpenAI's provenance check of an image: `POST /content_provenance_checks`."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from imgcli.api import client
from imgcli.api.client import DEFAULT_CLOCK, Call, Clock
from imgcli.api.errors.table import IMAGE, NO_ENDPOINT, STATUSES, WRONG_ADDRESS
from imgcli.api.upload import FormFile, form_body
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import as_list, as_object, as_text, choice, parse_object
from imgcli.core.option import option
from imgcli.core.provenance import ManifestState, ServerCheck, ServerSignal
from imgcli.core.secrets import redact

if TYPE_CHECKING:
    from imgcli.api.auth import Credentials
    from imgcli.api.transport import Timeouts
    from imgcli.core.image import EncodedImage


FORMATS = (ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.GIF)
"""What OpenAI checks, by its SDK's reference."""

NO_CHECKS = f"This server seems to have no provenance checks. Check {option('base-url')} (OPENAI_BASE_URL)."
"""The advice about a server that cannot be asked about any file."""

_PATH = "/content_provenance_checks"
_LARGEST = 1_000_000  # bytes of an answer, which has some hundred
_MOST_RESULTS = 20
_RUN_AGAIN = "The file was not checked: run it again."
_OTHER_FILE = "OpenAI checks PNG, JPEG, WebP and GIF images."
_PERMISSION = "Check that OPENAI_API_KEY and its project may check provenance."


def ask(
    image: EncodedImage, credentials: Credentials, timeouts: Timeouts, clock: Clock = DEFAULT_CLOCK
) -> ServerCheck:
    """Upload an image and ask about it, once. Raises `ImgcliError` without an answer.

    Its problems do not mention money: no image is at stake, and no price is known for this.
    """
    file = FormFile(BytesIO(image.data), f"image.{image.format}", f"image/{image.format}")
    form = form_body({"file": file})
    try:
        with closing(client.ask(credentials, Call(_PATH, form, _LARGEST), timeouts, clock)) as answer:
            body = b"".join(answer.chunks)
    except ImgcliError as error:
        problem = _about_the_file(error.problem)
    else:
        return read(body, credentials.host, *credentials.secrets)
    raise ImgcliError(problem)


def read(body: bytes, host: str, *secrets: str) -> ServerCheck:
    """Read an answer; results of unknown kinds are left out. Raises `ImgcliError` for what is none."""
    with suppress(UnicodeDecodeError):
        answer = parse_object(body.decode("utf-8-sig"))
        if answer is not None and isinstance(answer.get("results"), list):
            results = [as_object(each) for each in as_list(answer["results"])[:_MOST_RESULTS]]
            c2pa, synthid = (_signal(results, kind, secrets) for kind in ("c2pa", "synthid"))
            return ServerCheck(host, c2pa, synthid)
    what = "The server did not answer with the results of a provenance check."
    raise ImgcliError(Problem(ExitCode.REFUSED, what, Charged.NO, NO_CHECKS))


def _signal(results: list[dict[str, Any]], kind: str, secrets: tuple[str, ...]) -> ServerSignal | None:
    result = next((each for each in results if each.get("type") == kind), None)
    if result is None:
        return None
    state = result.get("validation_state")
    issuer, model, generated_at = (
        told and redact(told, *secrets)
        for told in (as_text(result.get(name)) for name in ("issuer", "model", "generated_at"))
    )
    return ServerSignal(
        result.get("outcome") == "detected",
        (choice(ManifestState, state) or ManifestState.UNKNOWN) if kind == "c2pa" else None,
        issuer,
        model,
        generated_at,
    )


def _about_the_file(problem: Problem) -> Problem:
    """Return the problem as one about a file that was to be checked, not about an image."""
    what, advice = problem.what, problem.advice
    match problem.exit_code:
        case ExitCode.UNKNOWN:
            advice = _RUN_AGAIN
        case ExitCode.REFUSED if advice in {NO_ENDPOINT.advice, WRONG_ADDRESS}:
            advice = NO_CHECKS
        case ExitCode.REFUSED if advice == STATUSES[413].advice:
            advice = ""
        case ExitCode.REFUSED:
            what = what.replace(IMAGE.what, "The server refused the file", 1)
            advice = _OTHER_FILE
        case ExitCode.AUTH if advice == STATUSES[403].advice:
            advice = _PERMISSION
        case _:
            pass
    return replace(problem, what=what, charged=Charged.NO, advice=advice, parameters=())
