"""What reading an answer promises, whichever wire it came over."""

from __future__ import annotations

import json
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from imgcli.api.stream.reader import read_events
from imgcli.api.stream.sse import BOM
from imgcli.core.errors import Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, Event, FinalImage, Notice, PartialImage
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.messages import money_sentence, problem_lines
from streams import BLUE, GREEN, RED, b64, completed, created, image_item, item_done, partial, record, stream
from tables import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JOB = "job-1"


def read(*chunks: bytes) -> list[Event]:
    """Read an answer that ends well."""
    return list(read_events(chunks, JOB))


def attempt(*chunks: bytes) -> tuple[list[Event], Problem | None]:
    """Read an answer however it ends: what came, and the problem if there was one."""
    events: list[Event] = []
    reader = read_events(chunks, JOB)
    while True:
        try:
            events.append(next(reader))
        except StopIteration:
            return events, None
        except ImgcliError as error:
            return events, error.problem


def problem_of(*chunks: bytes) -> Problem:
    """Read an answer that ends badly."""
    problem = attempt(*chunks)[1]
    assert problem is not None
    return problem


def finals(events: list[Event]) -> list[tuple[int, bytes]]:
    """Keep the finished images, by number."""
    return [(event.image_index, event.image.data) for event in events if isinstance(event, FinalImage)]


def previews(events: list[Event]) -> list[tuple[int, int]]:
    """Keep the numbers of the previews."""
    return [(event.image_index, event.index) for event in events if isinstance(event, PartialImage)]


def notices(events: list[Event]) -> list[str]:
    """Keep the notices."""
    return [event.text for event in events if isinstance(event, Notice)]


def failed_call(item: str) -> dict[str, Any]:
    """Build an image call that failed."""
    error = {"code": "moderation_blocked", "message": "Blocked."}
    return image_item(item=item, result=None, status="failed", error=error)


class TestAnOrdinaryRun:
    """The runs that OpenAI sends."""

    def test_of_the_responses_api(self) -> None:
        """Previews, the image once although it comes twice, and all that the bill needs."""
        image = EncodedImage(BLUE, ImageFormat.PNG)
        assert read(streams.whole_run()) == [
            PartialImage(JOB, 0, 0, image),
            PartialImage(JOB, 0, 1, image),
            PartialImage(JOB, 0, 2, image),
            FinalImage(JOB, 0, EncodedImage(RED, ImageFormat.PNG), "A red rectangle", "resp_1"),
            Completed(
                JOB,
                model="gpt-4o-mini-2024-07-18",
                usage=streams.USAGE,
                tool_usage=streams.TOOL_USAGE,
                response_id="resp_1",
                image_model="gpt-image-2.6-sunburst",
            ),
        ]

    @pytest.mark.parametrize("prefix", ["image_generation", "image_edit"])
    def test_of_the_images_api(self, prefix: str) -> None:
        """Its one last event holds the image and the usage."""
        body = streams.images_run(partials=1).replace(b"image_generation.", f"{prefix}.".encode())
        usage = {"input_tokens": 40, "output_tokens": 2060, "total_tokens": 2100}
        assert read(body) == [
            PartialImage(JOB, 0, 0, EncodedImage(BLUE, ImageFormat.PNG)),
            FinalImage(JOB, 0, EncodedImage(RED, ImageFormat.PNG)),
            Completed(JOB, model=None, usage=usage),
        ]

    def test_of_a_server_that_does_not_stream_images(self) -> None:
        """Compatible servers that answer with plain JSON work, with several images too."""
        body = json.dumps({"created": 1, "data": [{"b64_json": b64(RED)}, {"b64_json": b64(BLUE)}]}).encode()
        assert read(body) == [
            FinalImage(JOB, 0, EncodedImage(RED, ImageFormat.PNG)),
            FinalImage(JOB, 1, EncodedImage(BLUE, ImageFormat.PNG)),
            Completed(JOB, model=None),
        ]

    def test_of_a_gateway_that_ignores_stream(self) -> None:
        """A plain response object is read like the end of a stream."""
        events = read(json.dumps(streams.response(output=[image_item()])).encode())
        assert [(0, RED)] == finals(events)
        assert isinstance(events[-1], Completed)

    @pytest.mark.parametrize(
        "body", [streams.whole_run(), json.dumps({"data": [{"b64_json": b64(RED)}]}).encode()]
    )
    @pytest.mark.parametrize(
        "head", [b': {"request": {}}\n', b"\r\n: a\r\n\r\n: b\r\n", b"\xef\xbb\xbf", b":\r\xef\xbb\xbf"]
    )
    def test_of_a_recording(self, head: bytes, body: bytes) -> None:
        """A recorded run, which begins with a comment of ours, reads like the answer that it recorded."""
        assert read(body) == read(head + body)
        assert read(body) == read(*(bytes([byte]) for byte in head + body))


@given(st.lists(st.integers(0, 6000), max_size=30))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    """How the network cuts an answer changes nothing."""
    body = streams.whole_run()
    places = sorted({0, *(cut for cut in cuts if cut < len(body))})
    chunks = [body[start:stop] for start, stop in zip(places, [*places[1:], len(body)], strict=True)]
    assert read(body) == read(*chunks)


class TestTheFinalImage:
    """Nothing but the image decides whether there is an image."""

    @pytest.mark.parametrize("status", ["generating", "failed", "in_progress", None, 7])
    def test_is_taken_whatever_its_status(self, status: object) -> None:
        """An image counts even when the server still calls it unfinished."""
        assert [(0, RED)] == finals(read(stream(item_done(image_item(status=status)), completed())))

    def test_may_come_in_the_finished_item_only(self) -> None:
        """An empty output at the end takes nothing away."""
        assert [(0, RED)] == finals(read(stream(item_done(image_item()), completed())))

    def test_may_come_at_the_end_only(self) -> None:
        """A finished item without its result is made good by the end."""
        body = stream(item_done(image_item(result=None)), completed(image_item()))
        assert [(0, RED)] == finals(read(body))

    def test_comes_as_soon_as_it_is_there(self) -> None:
        """The image is given, and can be saved, before the stream ends."""

        def chunks() -> Iterator[bytes]:
            yield stream(item_done(image_item()))
            pytest.fail("the image was complete")

        assert isinstance(next(read_events(chunks(), JOB)), FinalImage)

    def test_is_kept_twice_when_it_came_with_two_contents(self) -> None:
        """Two different images under one name are both kept, and that is said."""
        events = read(stream(item_done(image_item(RED)), completed(image_item(BLUE))))
        assert [(0, RED), (1, BLUE)] == finals(events)
        assert ["the server sent one image twice, with different bytes: both are kept"] == notices(events)

    def test_is_kept_once_when_only_its_spelling_differs(self) -> None:
        """The same bytes in another base64 are the same image."""
        again = image_item(result="data:image/png;base64," + b64(RED))
        assert [(0, RED)] == finals(read(stream(item_done(image_item()), completed(again))))

    def test_is_saved_from_the_second_copy_when_the_first_is_damaged(self) -> None:
        """Damage to one of the two copies on the wire costs nothing."""
        body = stream(item_done(image_item(result="%%%")), completed(image_item()))
        assert [(0, RED)] == finals(read(body))

    def test_needs_no_end_of_the_stream(self) -> None:
        """A stream cut behind the image still gives it, and says that the end is missing."""
        events, problem = attempt(stream(item_done(image_item())))
        assert [(0, RED)] == finals(events)
        assert problem is not None
        assert ("The stream ended before the server completed it.", Charged.YES) == (
            problem.what,
            problem.charged,
        )

    def test_in_a_last_event_without_its_blank_line_counts(self) -> None:
        """Two missing line breaks cost nothing."""
        assert [(0, RED)] == finals(read(streams.images_run().rstrip()))

    def test_before_a_broken_connection_counts(self) -> None:
        """The connection breaks behind the last byte of the image: it is given first."""
        fault = ImgcliError(Problem(ExitCode.UNKNOWN, "cut"))

        def chunks() -> Iterator[bytes]:
            yield record(item_done(image_item())).rstrip()
            raise fault

        reader = read_events(chunks(), JOB)
        assert isinstance(next(reader), FinalImage)
        with pytest.raises(ImgcliError) as caught:
            next(reader)
        assert caught.value is fault

    @pytest.mark.parametrize("body", [streams.whole_run(), streams.images_run()])
    def test_ends_the_reading_with_its_completion(self, body: bytes) -> None:
        """A server that keeps the connection open behind the end does not keep us: that is told at once."""
        told: list[bool] = []

        def chunks() -> Iterator[bytes]:
            yield body
            assert [True] == told
            raise ImgcliError(Problem(ExitCode.UNKNOWN, "we hung up"))

        assert isinstance(list(read_events(chunks(), JOB, note_end=told.append))[-1], Completed)

    @pytest.mark.parametrize("body", [streams.whole_run(), streams.images_run()])
    def test_ends_a_live_stream_that_nobody_closes(self, body: bytes) -> None:
        """Where nobody can hang up, nothing is read after the end."""

        def chunks() -> Iterator[bytes]:
            yield body
            pytest.fail("everything had come")

        assert isinstance(list(read_events(chunks(), JOB, note_end=None))[-1], Completed)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(b64(RED)[start : start + 76] for start in range(0, len(b64(RED)), 76)),
        "data:image/png;base64," + b64(RED),
        b64(RED).translate(str.maketrans("+/", "-_")),
        b64(RED).rstrip("="),
        b64(RED) + "==",
    ],
)
def test_base64_is_forgiven_what_servers_do_to_it(text: str) -> None:
    """Line breaks, a data URI, URL-safe letters and wrong padding cost nothing."""
    assert [(0, RED)] == finals(read(stream(completed(image_item(result=text)))))


@pytest.mark.parametrize(
    "result", ["%%%", "QQ==QQ==", "A", "\ud800", "=", " ", b64(RED)[:-3] + "!!!", 7, ["x"], {"a": 1}, True]
)
def test_a_final_image_that_cannot_be_decoded_is_damage(result: object) -> None:
    """A paid image that is no base64 is reported as damaged and charged, never guessed at."""
    problem = problem_of(stream(completed(image_item(result=result))))
    assert (ExitCode.DAMAGED, Charged.YES) == (problem.exit_code, problem.charged)
    assert "The run log is kept; `imgcli recover --list` shows it." == problem.advice


@pytest.mark.parametrize("result", [None, "", [], {}, 0, False])
def test_an_empty_result_is_no_image(result: object) -> None:
    """Nothing in an image's place is nothing, and never success."""
    assert ExitCode.UNKNOWN is problem_of(stream(completed(image_item(result=result)))).exit_code


class TestSeveralImages:
    """Which image an event belongs to."""

    def test_are_numbered_as_they_appear(self) -> None:
        """Interleaved previews are told apart by their item."""
        body = stream(
            partial(0, item="b"),
            partial(0, item="a"),
            partial(1, item="b"),
            item_done(image_item(GREEN, item="a")),
            item_done(image_item(RED, item="b")),
            completed(image_item(RED, item="b"), image_item(GREEN, item="a")),
        )
        events = read(body)
        assert [(0, 0), (1, 0), (0, 1)] == previews(events)
        assert [(1, GREEN), (0, RED)] == finals(events)

    def test_of_equal_content_are_two(self) -> None:
        """Two items are two images, also when they look the same."""
        body = stream(completed(image_item(item="a"), image_item(item="b")))
        assert [(0, RED), (1, RED)] == finals(read(body))

    def test_without_names_are_told_apart_by_place(self) -> None:
        """Servers that leave the item's id out are understood by its place."""
        nameless = {"type": "image_generation_call"}
        body = stream(
            {**partial(0), "item_id": None, "output_index": 1},
            item_done({**nameless, "result": b64(RED)}, 0),
            item_done({**nameless, "result": b64(BLUE), "id": "late"}, 1),
            completed(),
        )
        events = read(body)
        assert [(0, 0)] == previews(events)
        assert [(1, RED), (0, BLUE)] == finals(events)

    def test_of_which_a_later_one_makes_up_for_a_failed_call(self) -> None:
        """A server that calls again by itself after a failure delivered what was asked for."""
        bad, good = failed_call("a"), image_item(item="b")
        for body in (
            stream(item_done(bad), item_done(good, 1), completed(bad, good)),
            stream(completed(bad, good)),
            stream(partial(0, item="a"), item_done(bad), item_done(good, 1), completed()),
        ):
            events = read(body)
            assert [(0, RED)] == finals(events)
            told = ["before the image arrived, another try failed: The safety check refused this: Blocked."]
            assert told == notices(events)

    def test_that_took_three_tries_are_one(self) -> None:
        """However often the server tries again, the image keeps its number, and each failure is said."""
        other = {"code": "server_error", "message": "Oops."}
        tries = [failed_call("a"), {**failed_call("b"), "error": other}, image_item(item="c")]
        steps = (
            event for i, one in enumerate(tries) for event in (partial(0, item="abc"[i]), item_done(one, i))
        )
        events = read(stream(*steps, completed(*tries)))
        assert ([(0, RED)], {0}, 2) == (
            finals(events),
            {n for n, _ in previews(events)},
            len(notices(events)),
        )

    def test_that_all_failed_are_a_failure(self) -> None:
        """Two failed tries are no success, and a reason is given, also when the second try gives none."""
        for second in (failed_call("b"), image_item(item="b", result=None)):
            events, problem = attempt(stream(completed(failed_call("a"), second)))
            assert ([], []) == (finals(events), notices(events))
            assert problem is not None
            assert (ExitCode.REFUSED, "moderation_blocked") == (problem.exit_code, problem.code)

    def test_of_which_one_failed_beside_a_good_one_are_partial(self) -> None:
        """A call that had been made when another failed is no second try of it."""
        bad, good = failed_call("a"), image_item(item="b")
        body = stream(partial(0, item="a"), partial(0, item="b"), item_done(bad), item_done(good, 1))
        problem = problem_of(body, stream(completed(bad, good)))
        assert (ExitCode.PARTIAL, Charged.YES) == (problem.exit_code, problem.charged)

    def test_of_which_one_came_damaged_are_partial(self) -> None:
        """An image that was paid for and cannot be read is not made up for by another one."""
        problem = problem_of(stream(completed(image_item(item="a", result="%%%"), image_item(item="b"))))
        assert ExitCode.PARTIAL is problem.exit_code

    def test_of_a_plain_answer_make_up_for_none(self) -> None:
        """Several images of one plain answer were all asked for."""
        entries = [{"error": {"code": "moderation_blocked"}}, {"b64_json": b64(RED)}]
        assert ExitCode.PARTIAL is problem_of(json.dumps({"data": entries}).encode()).exit_code

    def test_of_which_one_failed_are_delivered_and_reported(self) -> None:
        """The good ones are given, then the run ends as partial with the reason."""
        error = {"code": "moderation_blocked", "message": "Blocked."}
        bad = image_item(item="b", result=None, status="failed", error=error)
        events, problem = attempt(stream(completed(image_item(), bad)))
        assert [(0, RED)] == finals(events)
        assert problem is not None
        assert (ExitCode.PARTIAL, "moderation_blocked") == (problem.exit_code, problem.code)
        assert problem.what == "1 of 2 images arrived. The safety check refused this: Blocked."


class TestPreviews:
    """Previews are nice to have."""

    def test_may_be_missing(self) -> None:
        """A run without previews is an ordinary run."""
        assert [(0, RED)] == finals(read(streams.whole_run(partials=0)))

    def test_may_use_the_other_apis_name(self) -> None:
        """LiteLLM's `b64_json` on the Responses API is understood."""
        event = {**partial(0), "b64_json": b64(BLUE)}
        del event["partial_image_b64"]
        assert [(0, 0)] == previews(read(stream(event, completed(image_item()))))

    @pytest.mark.parametrize("text", [None, 7, "", "%%%", ["x"], {"a": 1}, "\udcff", True])
    def test_that_do_not_decode_cost_a_notice(self, text: object) -> None:
        """A damaged preview is left out, said once, and the image comes."""
        body = stream({**partial(0), "partial_image_b64": text}, {**partial(1), "partial_image_b64": text})
        events = read(body, stream(completed(image_item())))
        assert ["a partial image could not be decoded and was skipped"] == notices(events)
        assert ([], [(0, RED)]) == (previews(events), finals(events))

    @pytest.mark.parametrize("index", [None, "x", -1, 10**9, 1.5, [], True])
    def test_with_a_senseless_index_are_counted(self, index: object) -> None:
        """Previews are numbered by us where the server does not."""
        body = stream(*[{**partial(0), "partial_image_index": index}] * 2, completed(image_item()))
        assert [(0, 0), (0, 1)] == previews(read(body))

    def test_that_come_behind_their_image_are_left_out(self) -> None:
        """A late preview never replaces the finished image."""
        assert [] == previews(read(stream(item_done(image_item()), partial(2), completed(image_item()))))


NOISE = [
    b'data: {"type": "keepalive", "sequence_number": 3}\n\n',
    b'data: {"type": "response.some.new_event", "item": null}\n\n',
    b"data: [DONE]\n\n",
    b": ping\n\nretry: 3000\n\nevent: ping\n\n",
    b'data: {"no": "type"}\n\n',
    b'data: {"type": 7}\n\n',
]
BAD_JSON = [
    b"data: {\n\n",
    b"data: hello\n\n",
    b'data: {"x": ' + b"[" * 100_000 + b"}\n\n",
    b"data: [1]\n\n",
    b"data: null\n\n",
    b'data: "text"\n\n',
    b"data: 7\n\n",
    b"data: \xff\n\n",
]


@pytest.mark.parametrize("noise", NOISE)
def test_unknown_events_are_ignored(noise: bytes) -> None:
    """What a server invents tomorrow does no harm today."""
    assert read(streams.whole_run()) == read(noise + streams.whole_run().replace(b"\n\n", b"\n\n" + noise, 2))


@pytest.mark.parametrize("noise", BAD_JSON)
def test_bad_json_costs_one_notice(noise: bytes) -> None:
    """An event that is no JSON object is left out, said once, and the image comes."""
    events = read(noise * 3 + streams.whole_run())
    assert ["an event of the stream was not a JSON object and was skipped"] == notices(events)
    assert [(0, RED)] == finals(events)


def test_a_missing_type_is_read_from_the_events_name() -> None:
    """Gateways that strip `type` from the data are understood."""
    event = completed(image_item())
    del event["type"]
    body = b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n"
    assert [(0, RED)] == finals(read(body))


def nested(**error: object) -> bytes:
    """Wrap an error as OpenAI really does."""
    return stream(created(), {"type": "error", "error": error}, completed())


def flat(**error: object) -> bytes:
    """Wrap an error as its documentation says."""
    return stream(created(), {**error, "type": "error"}, completed())


def named(**error: object) -> bytes:
    """Wrap an error in the event's name alone."""
    return stream(created()) + b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"


def failed(**error: object) -> bytes:
    """End a response with an error."""
    end = streams.response(status="failed", error=error, usage=None, tool_usage=None)
    return stream(created(), {"type": "response.failed", "response": end})


def failed_item(**error: object) -> bytes:
    """Put an error into the image's item."""
    return stream(created(), completed(image_item(result=None, status="failed", error=error)))


def plain(**error: object) -> bytes:
    """Answer with an error as a body."""
    return json.dumps({"error": error}).encode()


def called(**error: object) -> bytes:
    """Send an error when the image call had been made."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "in_progress"}
    added = {"type": "response.output_item.added", "output_index": 1, "item": item}
    return stream(created(), added, {"type": "error", "error": error})


def drawing(**error: object) -> bytes:
    """Send an error when the server had said that it draws."""
    step = {"type": "response.image_generation_call.generating", "item_id": "ig_1", "output_index": 1}
    return stream(created(), step, {"type": "error", "error": error})


def counted(**error: object) -> bytes:
    """End a response with an error and with usage."""
    end = streams.response(status="failed", error=error, tool_usage=None)
    return stream(created(), {"type": "response.failed", "response": end})


def plain_counted(**error: object) -> bytes:
    """Answer with a failed response, not streamed."""
    return json.dumps(streams.response(status="failed", error=error)).encode()


def images_drawing(**error: object) -> bytes:
    """Fail on the Images API when it had begun."""
    step = {"type": "image_generation.generating"}
    return stream(step, {"type": "image_generation.failed", "error": error})


@each("shape", [called, drawing, counted, failed_item, plain_counted, images_drawing])
@each(
    ("code", "exit_code"),
    [
        ("insufficient_quota", ExitCode.BILLING),
        ("invalid_api_key", ExitCode.AUTH),
        ("rate_limit_exceeded", ExitCode.UNKNOWN),
        ("server_is_overloaded", ExitCode.UNKNOWN),
        ("moderation_blocked", ExitCode.REFUSED),
        ("server_error", ExitCode.UNKNOWN),
    ],
)
def test_an_error_after_work_had_begun_may_have_cost_money(
    shape: Callable[..., bytes], code: str, exit_code: ExitCode
) -> None:
    """Once the image call was made, or tokens were counted, nobody is told that nothing was charged."""
    problem = problem_of(shape(code=code, message="Sorry."))
    assert (exit_code, Charged.MAYBE) == (problem.exit_code, problem.charged)


def test_counts_of_zero_are_no_work() -> None:
    """Servers that fill in zeros for what was not used did not begin."""
    zeros = {
        "image_gen": {"input_tokens": 0, "output_tokens": 0, "input_tokens_details": {"image_tokens": 0}}
    }
    end = streams.response(
        status="failed",
        error={"code": "rate_limit_exceeded"},
        usage={"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        tool_usage=zeros,
    )
    problem = problem_of(stream(created(), {"type": "response.failed", "response": end}))
    assert (ExitCode.BUSY, Charged.NO) == (problem.exit_code, problem.charged)


SHAPES = [nested, flat, named, failed, plain]


@pytest.mark.parametrize("stage", ["output", "unknown"])
@pytest.mark.parametrize("shape", [*SHAPES, failed_item])
def test_a_refused_output_inside_an_answer_may_have_been_charged(
    shape: Callable[..., bytes], stage: str
) -> None:
    """An image that was drawn and then refused is not said to be free."""
    details = {"moderation_stage": stage, "categories": ["violence"]}
    problem = problem_of(shape(code="moderation_blocked", message="No.", moderation_details=details))
    assert (ExitCode.REFUSED, Charged.MAYBE) == (problem.exit_code, problem.charged)


@each("shape", SHAPES)
@each(
    ("code", "exit_code", "charged"),
    [
        ("insufficient_quota", ExitCode.BILLING, Charged.NO),
        ("rate_limit_exceeded", ExitCode.BUSY, Charged.NO),
        ("server_is_overloaded", ExitCode.BUSY, Charged.NO),
        ("moderation_blocked", ExitCode.REFUSED, Charged.MAYBE),
        ("image_content_policy_violation", ExitCode.REFUSED, Charged.MAYBE),
        ("server_error", ExitCode.UNKNOWN, Charged.MAYBE),
        ("something_new", ExitCode.UNKNOWN, Charged.MAYBE),
    ],
)
def test_every_shape_of_error_is_understood(
    shape: Callable[..., bytes],
    code: str,
    exit_code: ExitCode,
    charged: Charged,
) -> None:
    """An error inside a stream says the same, however it is wrapped."""
    problem = problem_of(shape(code=code, message="Sorry."))
    assert (exit_code, charged, code) == (problem.exit_code, problem.charged, problem.code)
    assert problem.what.endswith("Sorry.")


@pytest.mark.parametrize(
    "error", [None, {}, "text", 7, [], {"code": None, "message": 7}, {"code": [], "param": {}}]
)
def test_an_error_of_any_content_is_an_error(error: object) -> None:
    """An error event that says nothing readable still ends the run as unknown."""
    problem = problem_of(stream({"type": "error", "error": error}))
    assert (ExitCode.UNKNOWN, Charged.MAYBE) == (problem.exit_code, problem.charged)


def test_a_rate_limit_behind_a_preview_may_have_cost_money() -> None:
    """Once drawing had begun, nobody can say that nothing was charged."""
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow."}
    problem = problem_of(stream(partial(0), error))
    assert (ExitCode.UNKNOWN, Charged.MAYBE) == (problem.exit_code, problem.charged)


@pytest.mark.parametrize(
    ("reason", "exit_code"),
    [("content_filter", ExitCode.REFUSED), ("max_output_tokens", ExitCode.UNKNOWN), (None, ExitCode.UNKNOWN)],
)
def test_an_incomplete_response_says_why(reason: str | None, exit_code: ExitCode) -> None:
    """A response that stopped early names its reason."""
    end = streams.response(status="incomplete", incomplete_details={"reason": reason})
    assert exit_code is problem_of(stream({"type": "response.incomplete", "response": end})).exit_code


@pytest.mark.parametrize("kind", ["response.incomplete", "response.failed"])
def test_a_image_in_a_bad_end_is_kept_with_its_bill(kind: str) -> None:
    """An image that came counts, and its usage is not lost with the bad news."""
    end = streams.response(status="failed", output=[image_item()], error={"code": "server_error"})
    events = read(stream({"type": kind, "response": end}))
    assert [(0, RED)] == finals(events)
    assert ["after the image arrived: The server failed: server_error"] == notices(events)
    assert isinstance(events[-1], Completed)
    assert streams.USAGE == events[-1].usage


def message(**part: object) -> dict[str, Any]:
    """Build an item of words."""
    return {"type": "message", "id": "msg_1", "content": [part]}


def ended(*chunks: bytes) -> Completed | None:
    """Read an answer that ends badly: what the server told of the run."""
    with pytest.raises(ImgcliError) as caught:
        list(read_events(chunks, JOB))
    found: Completed | None = caught.value.ended
    return found


FULL_END = Completed(
    JOB,
    model="gpt-4o-mini-2024-07-18",
    usage=streams.USAGE,
    tool_usage=streams.TOOL_USAGE,
    response_id="resp_1",
    image_model="gpt-image-2.6-sunburst",
)
WORDS = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "No."}]}
BAD_ENDS = {
    "words": completed(WORDS),
    "nothing": completed(),
    "failed item": completed(image_item(result=None, status="failed", error={"code": "server_error"})),
    "partial": completed(image_item(), image_item(item="b", result=None, status="failed")),
    "damaged": completed(image_item(result="%%%")),
    "link": completed(image_item(result="https://example.org/a.png")),
    "failed": {"type": "response.failed", "response": streams.response(error={"code": "server_error"})},
    "incomplete": {
        "type": "response.incomplete",
        "response": streams.response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    },
}


@pytest.mark.parametrize("end", BAD_ENDS.values(), ids=BAD_ENDS)
def test_a_bad_end_keeps_its_bill(end: dict[str, Any]) -> None:
    """What the API counted is not lost because the run ended badly, streamed or not."""
    assert FULL_END == ended(stream(created(), end))
    assert FULL_END == ended(json.dumps(end["response"]).encode())


def test_a_bad_end_of_the_images_api_keeps_its_bill() -> None:
    """Its usage stands beside the image, and counts when the image is none."""
    usage = {"input_tokens": 40, "output_tokens": 2060}
    expected = Completed(JOB, model=None, usage=usage)
    for name in ("completed", "failed"):
        event = {"type": f"image_generation.{name}", "b64_json": "%%%", "usage": usage}
        assert expected == ended(stream(event))
    assert expected == ended(json.dumps({"data": [{"b64_json": "%%%"}], "usage": usage}).encode())


def test_a_cut_answer_keeps_what_it_had_told() -> None:
    """The response's name and its models are known from the beginning, also when the end never comes."""
    known = replace(FULL_END, usage=None, tool_usage=None)
    assert known == ended(stream(created(), item_done(image_item())))
    assert known == ended(stream(created(), {"type": "error", "error": {"code": "server_error"}}))

    def cut() -> Iterator[bytes]:
        yield stream(created(), item_done(image_item()))
        raise ImgcliError(Problem(ExitCode.UNKNOWN, "cut"))

    with pytest.raises(ImgcliError) as caught:
        list(read_events(cut(), JOB))
    assert known == caught.value.ended


def test_an_answer_that_told_nothing_has_no_end() -> None:
    """Nothing is made up."""
    assert ended(b"<html>") is None
    assert ended(plain(code="server_error")) is None


def test_words_instead_of_a_image_were_charged_when_tokens_were_counted() -> None:
    """A model that only talks is paid for as a text model, and nobody is told of an image."""
    problem = problem_of(stream(completed(WORDS)))
    assert "The text model's tokens were charged." == money_sentence(problem)
    unknown = problem_of(stream(completed(WORDS, usage=None, tool_usage=None)))
    assert "You may have been charged." == money_sentence(unknown)


@pytest.mark.parametrize(
    ("tool_usage", "charged"), [(None, Charged.MAYBE), (streams.TOOL_USAGE, Charged.YES)]
)
def test_no_image_was_charged_when_image_tokens_were_counted(tool_usage: object, charged: Charged) -> None:
    """An answer without an image is said to be paid for as one only when the server counted it."""
    assert charged is problem_of(stream(completed(tool_usage=tool_usage))).charged


def test_words_instead_of_a_image_are_quoted() -> None:
    """A model that answers in words is quoted, and the advice names another one."""
    item = message(type="output_text", text="I cannot \x1b[31mdraw.")
    problem = problem_of(stream(item_done(item), completed(item)))
    assert problem.exit_code is ExitCode.REFUSED
    assert problem.what == "The model sent text instead of an image: I cannot \ufffd[31mdraw."
    assert "--model gpt-6-luna" in problem.advice


def test_a_refusal_is_quoted() -> None:
    """A refusal is told as one."""
    problem = problem_of(stream(completed(message(type="refusal", refusal="No."))))
    assert (ExitCode.REFUSED, "The model declined: No.") == (problem.exit_code, problem.what)


def test_words_beside_a_image_do_not_matter() -> None:
    """A model may talk as long as it draws."""
    words = message(type="output_text", text="Here it is.")
    assert [(0, RED)] == finals(read(stream(item_done(words), completed(image_item(), words))))


@pytest.mark.parametrize(
    "output", [None, 7, "x", {}, [None], [7], ["x"], [[]], [{"type": 7}], [{"type": None}]]
)
def test_an_output_of_any_content_is_read(output: object) -> None:
    """Senseless items are passed over; a response without an image is no success."""
    end = {"type": "response.completed", "response": streams.response(output=output)}
    assert ExitCode.UNKNOWN is problem_of(stream(end)).exit_code


@each("field", ["usage", "tool_usage", "model", "id", "tools"])
@each("value", [None, 7, "", [], [None], {}, True])
def test_a_bill_of_any_content_costs_no_image(field: str, value: object) -> None:
    """What the server leaves out of the bill, or garbles, is unknown: None."""
    events = read(stream(completed(image_item(), **{field: value})))
    assert [(0, RED)] == finals(events)
    end = events[-1]
    assert isinstance(end, Completed)
    ours = {"id": end.response_id, "tools": end.image_model, "model": end.model}
    assert None is {**ours, "usage": end.usage, "tool_usage": end.tool_usage}[field]


@each("base", [partial(0), item_done(image_item()), completed(image_item()), created()])
@each("value", [None, 7, "x", [], {}, [None], True, 10**30, "x" * 100_000])
def test_no_field_of_any_type_breaks_the_reading(base: dict[str, Any], value: object) -> None:
    """Whatever is in whichever field, the run ends with an image or with a problem."""
    for field in base:
        attempt(stream({**base, field: value}, completed(image_item())))
        for inner in ("item", "response"):
            if isinstance(base.get(inner), dict):
                for name in base[inner]:
                    attempt(stream({**base, inner: {**base[inner], name: value}}))


@pytest.mark.parametrize(
    "answer", [{"data": []}, {"data": [None]}, {"data": [{}]}, {"data": [{"b64_json": None}]}, {"output": []}]
)
def test_an_answer_without_a_image_is_no_success(answer: dict[str, Any]) -> None:
    """Well-formed and empty is a failure."""
    assert ExitCode.UNKNOWN is problem_of(json.dumps(answer).encode()).exit_code


def url_entry(url: str) -> bytes:
    """Answer as servers do that do not know b64_json."""
    return json.dumps({"data": [{"url": url}]}).encode()


def url_event(url: str) -> bytes:
    """Put a link into the Images API's last event."""
    return stream({"type": "image_generation.completed", "url": url})


def url_result(url: str) -> bytes:
    """Put a link where the Responses API has base64."""
    return stream(completed(image_item(result=url)))


@pytest.mark.parametrize("link", ["https://example.org/a.png", "http://127.0.0.1/a.png\x1b]0;x\x07"])
def test_a_link_instead_of_a_image_is_shown(link: str) -> None:
    """A server that answers with a link is told apart, and the link is shown, safely."""
    problem = problem_of(json.dumps({"data": [{"url": link}]}).encode())
    assert (ExitCode.UNKNOWN, Charged.YES) == (problem.exit_code, problem.charged)
    assert link[:20] in problem.what
    assert "\x1b" not in problem.what


@pytest.mark.parametrize("shape", [url_entry, url_event, url_result])
def test_a_signed_link_is_told_whole(shape: Callable[[str], bytes]) -> None:
    """A link that is cut is of no use: all of a long one is told, and what to do with it."""
    url = f"https://example.org/a.png?se=2026-11-22T10%3A00%3A00Z&sig={'aB3%2F' * 300}%3D&end=1"
    problem = problem_of(shape(url))
    assert (ExitCode.UNKNOWN, Charged.YES) == (problem.exit_code, problem.charged)
    assert url in problem_lines(problem)[0]
    assert "curl -o" in problem.advice
    assert len(problem_of(shape("http://" + "x" * 1_000_000)).what) < 4500


@pytest.mark.parametrize(
    ("body", "exit_code", "words"),
    [
        (b"", ExitCode.UNKNOWN, "empty"),
        (b"\n\n: only a comment\n", ExitCode.UNKNOWN, "empty"),
        (
            b"<!DOCTYPE html><title>\n Hotel\tLogin</title>",
            ExitCode.REFUSED,
            "(HTML), not with an event stream: Hotel Login",
        ),
        (b"<html></html>", ExitCode.REFUSED, "web page"),
        (
            b'<?xml version="1.0"?><Error><Code>Denied</Code></Error>',
            ExitCode.UNKNOWN,
            "not an event stream: <?xml",
        ),
        (b"<Error><Code>Denied</Code></Error>", ExitCode.UNKNOWN, "not an event stream: <Error>"),
        (b"Bad Gateway", ExitCode.UNKNOWN, "Bad Gateway"),
        (b"\x89PNG\r\n\x1a\n\x00\x1b[31m", ExitCode.UNKNOWN, "not an event stream"),
        (b'{"data": [{"b64_json": "iVBO', ExitCode.UNKNOWN, "incomplete JSON"),
        (b'{"ok": true}', ExitCode.UNKNOWN, 'no image: {"ok": true}'),
        (b'{"detail": "Not here"}', ExitCode.UNKNOWN, "Not here"),
    ],
)
def test_what_is_no_answer_is_described(body: bytes, exit_code: ExitCode, words: str) -> None:
    """A captive portal, an empty body, a cut one: each is told as what it is."""
    problem = problem_of(body)
    assert (exit_code, Charged.MAYBE) == (problem.exit_code, problem.charged)
    assert words in problem.what
    assert problem.what.isprintable()


def test_a_json_body_that_is_complete_survives_its_connection() -> None:
    """A plain answer counts when all of it came, however the connection ended; a cut one tells of the cut."""
    fault = Problem(ExitCode.UNKNOWN, "cut")

    def cut(body: bytes) -> Iterator[bytes]:
        yield body
        raise ImgcliError(fault)

    body = json.dumps({"data": [{"b64_json": b64(RED)}]}).encode()
    assert [(0, RED)] == finals(list(read_events(cut(body), JOB)))
    with pytest.raises(ImgcliError) as caught:
        list(read_events(cut(body[:-5]), JOB))
    assert replace(fault, cause=Cause.UNREADABLE_IMAGE) == caught.value.problem


def test_a_stream_of_previews_only_gives_no_image() -> None:
    """A preview is never taken for the image."""
    events, problem = attempt(stream(created(), partial(0)))
    assert ([], None) == (finals(events), problem)
    assert not any(isinstance(event, Completed) for event in events)


@each("end", range(0, len(streams.whole_run()), 97))
def test_a_cut_run_is_never_a_success_without_its_image(end: int) -> None:
    """Cut anywhere, a run gives its image or no good end."""
    events, _ = attempt(streams.whole_run()[:end])
    assert finals(events) in ([], [(0, RED)])
    assert bool(finals(events)) or not any(isinstance(event, Completed) for event in events)


TOKENS = st.sampled_from(
    [
        b"data: ", b"event: ", b"\n", b"\n\n", b"\r", b"{", b"}", b"[", b'"type":',
        b'"response.completed"', b",", b'"error":', b'"data":', b'"output":', b'"b64_json":', b'"response":',
        b'"item":', b"null", b":", b"\xef\xbb\xbf", *streams.whole_run().split(b"\n"),
    ]
)  # fmt: skip


@given(st.lists(st.one_of(TOKENS, st.binary(max_size=8)), max_size=30))
def test_arbitrary_bytes_end_in_events_or_a_problem(pieces: list[bytes]) -> None:
    """Nothing but our own error comes out of reading, whatever goes in."""
    whole, split = attempt(b"".join(pieces)), attempt(*pieces)
    assert whole == split


FIELDS = st.sampled_from(
    [
        "type", "error", "data", "output", "response", "item", "result", "b64_json", "id", "content",
        "text", "code", "message",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just(b64(RED))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=4)),
    max_leaves=12,
)
TYPES = st.sampled_from(
    [
        "response.completed", "response.failed", "response.output_item.done", "image_generation.completed",
        "error", "response.image_generation_call.partial_image", "response.incomplete", "response.created",
    ]
)  # fmt: skip


@given(st.lists(st.tuples(TYPES, st.dictionaries(FIELDS, JSON, max_size=5)), max_size=4))
def test_arbitrary_fields_end_in_events_or_a_problem(events: list[tuple[str, dict[str, Any]]]) -> None:
    """Known events with any content in any field never break the reading."""
    attempt(
        b"".join(
            b"data: " + json.dumps({**fields, "type": kind}).encode() + b"\n\n" for kind, fields in events
        )
    )


def test_a_long_preamble_is_passed_quickly() -> None:
    """Comments without end before an answer take time by their length only, and no memory."""
    for preamble in (b":\n" * 500_000, b":" + b"x" * 1_000_000 + b"\n", b"\n" * 1_000_000, BOM * 300_000):
        for size in (65_536, 2_000_000):
            chunks = [preamble[start : start + size] for start in range(0, len(preamble), size)]
            start = time.process_time()
            assert read(*chunks, streams.images_run(partials=0))
            assert time.process_time() - start < 10


def test_memory_holds_no_previews() -> None:
    """Thousands of previews are given one by one and kept by nobody."""
    reader = read_events((record(partial(index)) for index in range(3000)), JOB)
    seen = [weakref.ref(event) for event in reader]
    assert len(seen) == 3000
    assert sum(reference() is not None for reference in seen) <= 1
