"""Opens the buffer, chooses the transport, and ties a module together. What is wrong with the settings is told here."""

import asyncio
import logging
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from device_agent.child_process import ChildScorer
from device_agent.errors import SettingsError
from device_agent.messages.buffer.buffer_thread import BufferThread
from device_agent.messages.buffer.interface import Buffer
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.capture_upload import CaptureUpload
from device_agent.messages.counts import watch
from device_agent.messages.message_ids import REMEMBERED, MessageIds
from device_agent.messages.module import MessageModule
from device_agent.messages.results import origins_of
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Transport
from device_agent.metrics import Metrics
from device_agent.monitoring import Monitoring

_LOG = logging.getLogger("edgepack.agent")
SWITCH_S = 0.0005
"""The buffer's thread gets the interpreter back sooner: it appends twice as much beside a busy event loop."""
MODELS_FOLDER = "azureml-models"


class MessageSide:
    """An opened buffer and a transport; then, with `join`, a module that runs. Close it in any case."""

    def __init__(self, settings: MessageSettings, environment: Mapping[str, str], app_root: str) -> None:
        """Raises SettingsError, with the problems of both."""
        self._settings = settings
        self._given = {name: value for name, value in environment.items() if value.strip()}
        self._models = served_models(Path(app_root, MODELS_FOLDER))
        problems: list[str] = []
        buffer: SqliteBuffer | None = None
        try:
            buffer = SqliteBuffer(settings.buffer_path, settings.buffer_max_bytes, settings.buffer_policy)
        except SettingsError as error:
            problems += error.problems
        try:
            self._transport = make_transport(settings, self._given, client_id(buffer) if buffer else "unknown")
        except SettingsError as error:
            problems += error.problems
        if buffer is None or problems:
            if buffer is not None:
                buffer.close()
            raise SettingsError(*problems)
        self._buffer = buffer
        self._ids = MessageIds(client_id(buffer), origins_of(buffer.origins(REMEMBERED)))
        restored = buffer.restore()
        if restored:
            _LOG.info("%d messages that were set aside are tried again", restored)

    def join(self, scorer: ChildScorer, monitoring: Monitoring, metrics: Metrics) -> MessageModule:
        """Start: from here on the module connects, receives and sends."""
        sys.setswitchinterval(SWITCH_S)
        module = MessageModule(scorer, self._transport, self._settings, self._given, self._models, monitoring)
        self._module = module
        self._store = BufferThread(self._buffer, asyncio.get_running_loop(), module)
        module.open(self._store, metrics, self._ids)
        if self._settings.capture_output:
            monitoring.send_kept(
                lambda lost: CaptureUpload(
                    self._store, settings=lambda: module.settings, refusal=self._transport.refusal, lost=lost
                )
            )
        watch(
            metrics,
            module.counts,
            road=module.road,
            figures=lambda: self._store.figures,
            is_connected=lambda: module.is_connected,
        )
        scorer.when_changed = module.state_changed
        if not self._transport.capabilities.acknowledges_by_hand:
            _LOG.warning("%s acknowledges inputs when they arrive: a crash loses them", self._settings.transport)
        return module

    async def drain(self, drain_s: float) -> None:
        """Take no more inputs, and finish what is under way, for at most `drain_s`; results can still be kept."""
        await self._module.close(drain_s)

    async def close(self) -> None:
        """Stop at once. What is not sent stays on disk."""
        await self._module.close(0.0)
        await self._store.close()


def make_transport(settings: MessageSettings, environment: Mapping[str, str], client_id: str) -> Transport:
    """The transport that the settings ask for. Raises SettingsError."""
    match settings.transport:
        case "mqtt":
            from device_agent.messages.mqtt.mqtt_transport import MqttTransport
            from device_agent.messages.mqtt.topic_filter import matches

            loops = [
                f"EDGEPACK_INPUT is {settings.input_name}, which covers {name}, {topic}: what is sent would come back"
                for name, topic in (
                    ("EDGEPACK_OUTPUT", settings.output),
                    ("EDGEPACK_ERROR_OUTPUT", settings.error_output),
                    ("EDGEPACK_CAPTURE_OUTPUT", settings.capture_output),
                )
                if topic and matches(settings.input_name, topic)
            ]
            if loops:
                raise SettingsError(*loops)
            return MqttTransport(
                settings.mqtt,
                settings.mqtt.client_id or client_id,
                settings.input_name,
                keep_alive_s=settings.keep_alive_s,
                window=settings.window,
            )
        case "edgehub":
            from device_agent.messages.iothub.edgehub import EdgeHubTransport
            from device_agent.messages.iothub.identity import find_identity

            identity = find_identity(settings, environment)
            return EdgeHubTransport(identity, settings.input_name, settings.keep_alive_s, settings.window)
        case "azure-sdk":
            from device_agent.messages.iothub.azure_sdk import AzureSdkTransport

            return AzureSdkTransport(settings, environment)
    raise SettingsError(f"there is no transport {settings.transport}")


def client_id(buffer: Buffer) -> str:
    """A name of this agent at a broker, made once: the broker keeps a session for it."""
    known = buffer.meta_get("client_id")
    if known is None:
        known = f"edgepack-{secrets.token_hex(6)}"
        buffer.meta_set("client_id", known)
    return known


def served_models(folder: Path) -> list[tuple[str, str]]:
    """Name and version of every model below `folder`, as an image has them: NAME/VERSION."""
    versions = sorted(folder.glob("*/*"))
    return [(path.parent.name, path.name) for path in versions if path.is_dir() and path.name.isdigit()]
