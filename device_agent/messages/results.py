"""The answer of the script -> the messages that go upstream. Pure.

The body of a message is what `POST /score` would have answered. An input that could not be scored gives an error
message, so that it is acknowledged and not delivered again for ever:

    {"message": "...", "status": 400 or 500, "input": "the input's name or topic"}
"""

import hashlib
import json
from collections.abc import Iterable

from device_agent.messages.message import Message, Received
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import JSON_TYPE, ScoringResult

INPUT_PROPERTY = "edgepack-input"
"""Application property that tells the topic of an input, where a filter with wildcards matches several."""


def base_id(received: Received, identity: str) -> str:
    """The message id of what is made from an input that has an id of its own: equal for every delivery of it.

    Senders that use an id twice for different bodies are told apart, and so are agents (by `identity`) that are given
    the same input. 32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (identity, received.sender, received.input_name, received.message_id):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(received.body)
    return digest.hexdigest()


def input_properties(received: Received, settings: MessageSettings) -> tuple[tuple[str, str], ...]:
    """Application properties of what is made from this input."""
    if any(character in settings.input_name for character in "+#"):
        own = [pair for pair in received.properties if pair[0] != INPUT_PROPERTY]
        return (*own, (INPUT_PROPERTY, received.input_name))
    return received.properties


def result_messages(
    result: ScoringResult,
    settings: MessageSettings,
    message_id: str,
    *,
    input_name: str,
    correlation_id: str = "",
    properties: tuple[tuple[str, str], ...] = (),
    origin: bytes = b"",
) -> list[Message]:
    """The messages of one result: one, or with `list_output` "each" one an element of a list (none for [])."""
    if result.status >= 400:
        return [
            error_message(
                result.status,
                _text(result),
                settings,
                message_id,
                input_name=input_name,
                correlation_id=correlation_id,
                properties=properties,
                origin=origin,
            )
        ]
    whole = Message(
        result.body,
        settings.output,
        message_id,
        correlation_id,
        properties,
        content_type=result.content_type,
        content_encoding="utf-8" if result.content_type.startswith((JSON_TYPE, "text/")) else "",
        priority=settings.priority,
        ttl_s=settings.ttl_s,
        origin=origin,
    )
    if settings.list_output == "each" and result.content_type == JSON_TYPE and result.body.lstrip()[:1] == b"[":
        try:
            elements = json.loads(result.body)
        except (ValueError, RecursionError):
            return [whole]  # a response of the script's own that is no JSON
        return [
            whole._replace(body=json.dumps(element).encode(), message_id=f"{message_id}-{number}")
            for number, element in enumerate(elements)
        ]
    return [whole]


def error_message(
    status: int,
    text: str,
    settings: MessageSettings,
    message_id: str,
    *,
    input_name: str,
    correlation_id: str = "",
    properties: tuple[tuple[str, str], ...] = (),
    origin: bytes = b"",
) -> Message:
    """What is sent instead of a result. `status` is the one that HTTP would have answered."""
    body = json.dumps({"message": text, "status": status, "input": input_name}).encode()
    return Message(
        body,
        settings.error_output,
        message_id,
        correlation_id,
        properties,
        priority=settings.error_priority,
        ttl_s=settings.ttl_s,
        origin=origin,
    )


def origins_of(stored: Iterable[tuple[bytes, str]]) -> dict[bytes, str]:
    """Origins of messages in the buffer -> the id that a redelivery gets."""
    return {origin: message_id.partition("-")[0] for origin, message_id in stored}


def _text(result: ScoringResult) -> str:
    """What an error says: the message in its body, or the body."""
    try:
        document = json.loads(result.body)
    except (ValueError, RecursionError):
        return result.body.decode("utf-8", "replace")
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        return str(document["message"])
    return result.body.decode("utf-8", "replace")
