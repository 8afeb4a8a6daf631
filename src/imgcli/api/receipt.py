"""What the server tells of a run besides its pictures: names and counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgcli.api.fields import as_list, as_object, as_text
from imgcli.core.events import Completed

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELDS = ("id", "model", "tools", "usage", "tool_usage", "service_tier")


@dataclass
class Receipt:
    """Gathers what several events tell, for whichever end the run takes."""

    job: str
    _known: dict[str, Any] = field(default_factory=dict)

    def note(self, response: Mapping[str, Any]) -> None:
        """Keep what this says of the response; a later event may say less, and takes nothing away."""
        self._known |= {name: response[name] for name in _FIELDS if response.get(name)}

    @property
    def response_id(self) -> str | None:
        """The answer's name, as far as the server has told it."""
        return as_text(self._known.get("id"))

    @property
    def has_usage(self) -> bool:
        """Whether the server counted anything: then somebody worked, and it was not for nothing."""
        return _counts(self._known.get("usage")) or self.has_image_tokens

    @property
    def has_image_tokens(self) -> bool:
        """Whether the server counted tokens for a picture on the Responses API."""
        return _counts(as_object(self._known.get("tool_usage")).get("image_gen"))

    def completed(self) -> Completed:
        """Spell it as the end of a run."""
        return Completed(
            self.job,
            model=as_text(self._known.get("model")),
            usage=as_object(self._known.get("usage")) or None,
            tool_usage=as_object(self._known.get("tool_usage")) or None,
            response_id=self.response_id,
            image_model=self._image_model(),
            service_tier=as_text(self._known.get("service_tier")),
        )

    def ended(self) -> Completed | None:
        """Spell it for a run that did not end well; None when the server told nothing."""
        completed = self.completed()
        return None if completed == Completed(self.job, model=None) else completed

    def _image_model(self) -> str | None:
        """Find the tool's model in the server's echo of the request: the calls themselves do not name it."""
        tools = map(as_object, as_list(self._known.get("tools")))
        mine = (tool for tool in tools if tool.get("type") == "image_generation")
        return next((model for tool in mine if (model := as_text(tool.get("model")))), None)


def _counts(usage: object) -> bool:
    """Tell whether any count is there that is not zero."""
    return any(count and not isinstance(count, dict) for count in as_object(usage).values())
