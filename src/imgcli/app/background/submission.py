"""Requests that are only submitted: the image is made within hours, and `recover` fetches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.app import unfinished_run
from imgcli.app.job import hold, stream
from imgcli.app.options import OutputFormat
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Notice, Waiting
from imgcli.core.messages import FETCH_LATER, waiting_line
from imgcli.core.option import option
from imgcli.core.pipeline import Outcome, uncharged
from imgcli.core.text import clean
from imgcli.output.json import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.app.options import GenerateOptions


_WINDOW = "completion-window"


def check_submission(options: GenerateOptions) -> None:
    """Refuse what needs an image now, or a server that is still there later. Raises `ImgcliError` (usage)."""
    output = options.output
    actions = [action.value for action in output.desktop]
    unfit = {
        "demo": (options.server.demo, "the demo ends with the command"),
        "no-save": (not output.save, "without a run log the image could not be fetched"),
        "record": (output.record is not None, "there is no stream to record"),
        **dict.fromkeys(actions, (True, "the image comes later")),
    }
    for name, (is_given, why) in unfit.items():
        if is_given:
            what = f"{option(_WINDOW)} cannot be combined with {option(name)}: {why}."
            raise usage_error(what, "Leave one of them out.", about=(_WINDOW, name))


def submit(context: Context, jobs: Sequence[Job]) -> ExitCode:
    """Submit requests, one after the other, and return OK. Raises `ImgcliError` for one that was refused.

    The run logs of the others stay: their images come.
    """
    for job in jobs:
        _submit(job)
        _tell(context, job)
    if jobs[0].options.display.format is OutputFormat.PEOPLE:
        context.warn([FETCH_LATER])
    return ExitCode.OK


def _submit(job: Job) -> None:
    with hold(job):
        try:
            _send(job)
        except ImgcliError as error:
            problem = uncharged(error.problem) if job.artifacts.is_free else error.problem
            job.artifacts.settle(Outcome(problems=[problem]))
            if problem.charged is Charged.NO:
                unfinished_run.release_reservation(job.context, job.id)
            raise ImgcliError(problem) from None


def _send(job: Job) -> None:
    """Send one request, and read the name of its response. Raises `ImgcliError`."""
    for event in job.stop.ending(job.artifacts.report_lost_log(stream(job))):
        match event:
            case Notice(text=text):
                job.context.warn([text])
            case Waiting(reason=reason, seconds=seconds):
                job.context.warn([waiting_line(seconds, reason)])
            case _:
                pass
    if job.position.response_id is None:
        what = "The server accepted the request and did not name the response."
        raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE))


def _tell(context: Context, job: Job) -> None:
    """Tell under which name a request was submitted, and until when its image is made."""
    window, name = job.valid.request.completion_window, clean(job.position.response_id or "")
    match job.options.display.format:
        case OutputFormat.JSON_LINES:
            line = {
                "output_index": 0,
                "partial_image_b64s": [],
                "usage": None,
                "status": "queued",
                "final_model": None,
                "job": job.id,
                "response_id": job.position.response_id,
                "completion_window": window,
            }
            context.stdout.write(to_json(line) + "\n")
        case OutputFormat.PEOPLE:
            made = "is ready" if job.position.is_over else f"will be ready within {window}"
            context.write_lines([f"submitted as {name}; the image {made}"])
        case OutputFormat.PATHS:
            pass
