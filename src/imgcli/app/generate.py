"""Generations, from options to an exit code: prepared, then printed or run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.app import process
from imgcli.app.money import budget
from imgcli.app.options import OutputFormat
from imgcli.app.reporting import Reporter, exit_status
from imgcli.core.errors import ExitCode, usage_error
from imgcli.core.messages import preset_words
from imgcli.core.option import option
from imgcli.core.params import KeepPartials
from imgcli.core.request import abbreviate
from imgcli.core.validate import ValidRequest, validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.api.auth import Credentials
    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.app.options import GenerateOptions


_Decided: TypeAlias = "tuple[GenerateOptions, Reporter, ValidRequest]"
_WATCHED_PARTIALS = 3
_FORM_NOTICE = "sent as a form (multipart/form-data), with the image files unchanged"


def generate(context: Context, options: Sequence[GenerateOptions], limit: int = 1) -> ExitCode:
    """Run generations of one command, at most `limit` at a time, or print their requests (`dry_run`).

    Raises `ImgcliError` for what is refused before anything is sent.
    """
    if options[0].dry_run:
        return _print_requests(context, options)
    jobs = prepare(context, options)
    if jobs[0].valid.request.completion_window:
        from imgcli.app.background.submission import submit

        return submit(context, jobs)
    if len(jobs) > 1:
        from imgcli.app.job_group import run_group

        return run_group(context, jobs, limit)
    from imgcli.app.job import JobHooks, execute

    job, noted = jobs[0], list[str]()

    def note(lines: list[str]) -> None:
        noted.extend(lines)
        context.write_lines(lines)

    job.context = replace(context, defer=note)
    job.hooks = JobHooks(answered=lambda _: process.tune_memory(is_reused=False))
    outcome = execute(job)
    code = exit_status(context, outcome, job.id, is_free=job.artifacts.is_free)
    if job.options.display.notifies or job.options.output.desktop:
        from imgcli.app import desktop

        if job.options.display.notifies:
            desktop.notify(context, [outcome])
        desktop.open_results(context, job.artifacts.whole, job.options.output.desktop)
    if code is ExitCode.OK and not noted and isinstance(job.display, Reporter):
        job.display.play()  # last of all: a Ctrl-C in it costs nothing but the rest of it
    return code


def prepare(context: Context, options: Sequence[GenerateOptions]) -> list[Job]:
    """Decide what is sent, where, and with which key; nothing is held or written by that.

    Prints the estimate where it is wanted. Raises `ImgcliError`; the limit is one for all of them.
    """
    decided = _decide(context, options)
    key = find_credentials(context, options[0])
    return [_job(new_job_id(context), context, *each, key) for each in decided]


def _decide(context: Context, options: Sequence[GenerateOptions]) -> list[_Decided]:
    """Check each request, and all of them against the limit. Raises `ImgcliError`."""
    reporters = [Reporter(context, one, context.models) for one in options]
    checked = [_check(context, *pair) for pair in zip(options, reporters, strict=True)]
    valid = budget.check_limit(context, options[0], checked, context.models)
    return list(zip(options, reporters, valid, strict=True))


def prepare_one(context: Context, options: GenerateOptions, job_id: str) -> Job:
    """Prepare one of many jobs, whose limit is its caller's. Raises `ImgcliError`."""
    reporter = Reporter(context, options, context.models)
    valid = _check(context, options, reporter)
    return _job(job_id, context, options, reporter, valid, find_credentials(context, options))


def _check(context: Context, options: GenerateOptions, reporter: Reporter) -> ValidRequest:
    """Return the request that the options make. Raises `ImgcliError` (usage)."""
    is_watched = reporter.is_watched or options.output.partials is KeepPartials.ALL
    draft = replace(options.draft, watched_partials=_WATCHED_PARTIALS if is_watched else 0)
    valid = validate(draft, context.models, context.now().date())
    if options.output.embed:
        from imgcli.app.artifacts import check_embedding

        check_embedding(options.output, valid.request)
    if draft.completion_window:
        from imgcli.app.background.submission import check_submission

        check_submission(options)
    if not options.dry_run:
        _check_that_something_stays(options, reporter)
    return replace(valid, notices=(*options.notices, *valid.notices))


def new_job_id(context: Context) -> str:
    """Return an id that no other job has."""
    return f"{context.now():%Y%m%d-%H%M%S}-{context.token()}"


def _job(
    job_id: str,
    context: Context,
    options: GenerateOptions,
    reporter: Reporter,
    valid: ValidRequest,
    key: Credentials | None,
) -> Job:
    # Imported here, so that a dry run does without them.
    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.job import Job

    artifacts = RunArtifacts(job_id, is_free=options.server.is_free)
    return Job(job_id, context, options, context.models, valid, key, artifacts, reporter)


def _check_that_something_stays(options: GenerateOptions, reporter: Reporter) -> None:
    """Refuse to buy an image that nobody keeps and nobody sees."""
    if options.output.save or options.output.record or reporter.is_shown or reporter.is_inline:
        return
    is_json = options.display.format is OutputFormat.JSON_LINES
    raise usage_error(
        f"With {option('no-save')} you would pay for an image and keep nothing of it.",
        f"Add {option('jsonl-images', 'inline')}."
        if is_json
        else f"Add {option('jsonl')}, or a terminal to show it on.",
        about=("no-save",),
    )


def find_credentials(context: Context, options: GenerateOptions) -> Credentials | None:
    """Find the server and the key; a demo has its own, and a dry run needs none. Raises `ImgcliError`."""
    if options.server.demo or options.dry_run:
        return None
    from imgcli.api.auth import credentials

    return credentials(context.env, options.server.base_url, options.server.settings, context.keys)


def _print_requests(context: Context, options: Sequence[GenerateOptions]) -> ExitCode:
    """Print each request as JSON, equal ones once; what it would cost to watch is in it."""
    from imgcli.api.wires import WIRES

    texts: Counter[str] = Counter()
    decided = _decide(context, options)
    for one, _, valid in decided:
        request = valid.request
        if one.budget.day:
            from imgcli.app.money import reservation

            reservation.check(context, one, valid, context.models)
        texts[_readable_json(abbreviate(WIRES[request.api].body(request)))] += 1
    first, *_ = valids = [valid for _, _, valid in decided]
    presets = first.request.presets
    notices = [preset_words(presets)] if presets else []
    notices += [notice for valid in valids for notice in valid.notices]  # which are events of a run
    notices += [_FORM_NOTICE] if any(valid.request.is_form for valid in valids) else []
    context.warn(dict.fromkeys(notices))
    for text, times in texts.items():
        if times > 1:
            context.warn([f"this request would be sent {times} times"])
        context.stdout.write(text + "\n")
    return ExitCode.OK


def _readable_json(body: Mapping[str, Any]) -> str:
    """Format JSON in any script's letters, but escape what a terminal would obey instead of showing it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
