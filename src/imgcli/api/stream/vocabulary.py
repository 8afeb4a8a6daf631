"""The words without which an answer cannot be read: a secret that is one of them is not masked in it."""

from __future__ import annotations

_WORDS = (
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.partial_image",
    "response.image_generation_call.completed",
    "response.output_item.added",
    "response.output_item.done",
    "response.in_progress",
    "response.incomplete",
    "response.cancelled",
    "response.completed",
    "image_generation.partial_image",
    "image_generation.completed",
    "image_edit.partial_image",
    "image_edit.completed",
    "partial_image_index",
    "partial_image_b64",
    "incomplete_details",
    "max_output_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens_details",
    "cached_image_tokens",
    "cached_text_tokens",
    "cache_write_tokens_details",
)
"""Only what is long enough to be masked; a masked code of an error costs a hint, and no image."""


def maskable(*secrets: str) -> tuple[str, ...]:
    """Leave out the secrets without whose text the answer, and the image in it, could not be read."""
    return tuple(secret for secret in secrets if not any(secret in word for word in _WORDS))
