"""What a Responses request says: its text, its pictures, and which turn of a conversation it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcli.standin.errors import invalid, invalid_type, invalid_value, missing, unsupported_here
from imgcli.standin.uploads import Picture, decoded, picture, pointed

if TYPE_CHECKING:
    from imgcli.standin.memory import Memory
    from imgcli.standin.validate import Fields

_ITEMS = ("message", "image_generation_call", "reasoning", "item_reference")
_ROLES = ("user", "system", "developer", "assistant")
_PARTS = ("input_text", "output_text", "input_image")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that was said: the last words of the user, all pictures, and what went before."""

    prompt: str = ""
    motif: str = ""
    """The first words of the user, in this request or an earlier one."""
    motif_seed: int | None = None
    """The seed of the first request, None where this is the first."""
    pictures: tuple[Picture, ...] = ()
    turn: int = 1
    painted: bool = False
    """Whether an earlier picture can be edited."""

    @property
    def editing(self) -> bool:
        """Whether there is a picture to start from."""
        return bool(self.pictures) or self.painted

    def heard(self, role: str, text: str) -> Conversation:
        """With one more message in it."""
        if role != "user" or not text.strip():
            return self
        return replace(self, prompt=text, motif=self.motif or text)

    def seen(self, *pictures: Picture) -> Conversation:
        """With more pictures in it."""
        return replace(self, pictures=self.pictures + pictures)


def read_conversation(fields: Fields, memory: Memory) -> Conversation:
    """The conversation of a request: `previous_response_id` and `input`."""
    said = Conversation()
    previous = fields.values.get("previous_response_id")
    if previous is not None:
        past = memory.response(str(previous))
        said = Conversation("", past.motif, past.motif_seed, turn=past.turn + 1, painted=past.painted)
    value = fields.values.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        said = said.heard("user", value)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            said = _read_item(said, item, f"input[{number}]", memory)
    else:
        raise invalid_type("a string or an array", value, "input")
    if not said.prompt and not said.pictures:
        message = "Invalid 'input': empty. Expected text or an image from the user."
        raise invalid("string_below_min_length", message, "input")
    return said


def _read_item(said: Conversation, item: object, param: str, memory: Memory) -> Conversation:
    if not isinstance(item, dict):
        raise invalid_type("an object", item, param)
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        raise invalid_value(kind, _ITEMS, f"{param}.type")
    if kind == "message":
        return _read_message(said, item, param)
    if kind == "reasoning":
        return said
    return _read_earlier(said, item, param, memory)


def _read_earlier(said: Conversation, item: dict[str, object], param: str, memory: Memory) -> Conversation:
    """A picture of an earlier answer: sent again whole, or named by its id."""
    result = item.get("result")
    if isinstance(result, str) and result:
        return said.seen(picture(decoded(result, f"{param}.result"), f"{param}.result"))
    if not isinstance(item.get("id"), str):
        raise missing(f"{param}.id")
    past = memory.item(str(item["id"]))
    return replace(
        said,
        motif=said.motif or past.motif,
        motif_seed=past.motif_seed if said.motif_seed is None else said.motif_seed,
        turn=max(said.turn, past.turn + 1),
        painted=said.painted or past.painted,
    )


def _read_message(said: Conversation, item: dict[str, object], param: str) -> Conversation:
    role = item.get("role")
    if role not in _ROLES:
        raise missing(f"{param}.role") if role is None else invalid_value(role, _ROLES, f"{param}.role")
    content = item.get("content")
    if isinstance(content, str):
        return said.heard(str(role), content)
    if not isinstance(content, list):
        raise missing(f"{param}.content")
    texts = []
    for number, part in enumerate(content):
        place = f"{param}.content[{number}]"
        found = _read_part(part, place)
        if isinstance(found, Picture):
            said = said.seen(found)
        else:
            texts.append(found)
    return said.heard(str(role), "\n".join(texts))


def _read_part(part: object, param: str) -> Picture | str:
    if not isinstance(part, dict):
        raise invalid_type("an object", part, param)
    kind = part.get("type")
    if kind in {"input_file", "input_audio"}:
        raise unsupported_here(f"{param}.type", "files and sound")
    if kind not in _PARTS:
        raise invalid_value(kind, _PARTS, f"{param}.type")
    if kind == "input_image":
        return pointed(part, param)
    text = part.get("text")
    if not isinstance(text, str):
        raise invalid_type("a string", text, f"{param}.text")
    return text
