"""The files that the transport `mqtt` needs: a password, certificates. Blocking, but only for small local files."""

import ssl
from pathlib import Path

from device_agent.messages.settings import MqttSettings


class MqttFiles:
    """Checks all files at once; adds a sentence to `problems` for each that cannot be used.

    `tls` is None without TLS. Otherwise TLS 1.2 at least, and the broker's certificate must name its host.
    """

    def __init__(self, settings: MqttSettings, problems: list[str]) -> None:
        self._settings = settings
        self.tls = _tls_context(settings, problems) if settings.uses_tls else None
        if settings.password_file is not None and not settings.user:
            problems.append(
                "EDGEPACK_MQTT_PASSWORD_FILE is set, but EDGEPACK_MQTT_URL names no user: mqtts://USER@HOST does"
            )
        try:
            self.read_credentials()
        except OSError as error:
            problems.append(str(error))

    def read_credentials(self) -> tuple[str | None, str | None]:
        """User and password for the next connection; a client certificate that was renewed is read too.

        Raises OSError with one sentence when a file cannot be used.
        """
        settings = self._settings
        if self.tls is not None and settings.cert_file is not None:
            _load_certificate(self.tls, settings.cert_file, settings.key_file)
        if settings.password_file is None:
            return settings.user, settings.password
        try:
            password = Path(settings.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise OSError(f"EDGEPACK_MQTT_PASSWORD_FILE {settings.password_file} cannot be read: {reason}") from error
        return settings.user, password


def _tls_context(settings: MqttSettings, problems: list[str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        problems.append(
            f"EDGEPACK_MQTT_CA_FILE {settings.ca_file} cannot be used: {_reason(error, 'it is no PEM certificate')}"
        )
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load_certificate(context: ssl.SSLContext, cert_file: str, key_file: str | None) -> None:
    """Use this client certificate from now on. Raises OSError with one sentence."""
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except OSError as error:
        reason = _reason(error, "certificate and key must be PEM, belong together, and have no passphrase")
        where = cert_file if key_file is None else f"{cert_file} with the key {key_file}"
        raise OSError(f"EDGEPACK_MQTT_CERT_FILE {where} cannot be used: {reason}") from error


def _no_password() -> str:
    """A key with a passphrase would be asked for at the terminal: there is none."""
    return ""


def _reason(error: OSError, unless: str) -> str:
    return unless if isinstance(error, ssl.SSLError) or error.strerror is None else error.strerror
