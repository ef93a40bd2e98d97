"""What a registry's refusal or a failed connection means for the user: one error, and whether to try again."""

import socket
from collections.abc import Mapping

from edgepack.errors import RemoteError
from edgepack.oci.registry_headers import parse_error, parse_retry_after
from edgepack.oci.registry_login import Login

_RETRYABLE = {408, 425, 429}
_NOT_RETRYABLE = {501, 505, 507, 511}


class RegistryRefusal(RemoteError):
    """The registry answered with a status that is no success.

    `codes` are those of its error document; `wait_s` is what it asks to wait, in seconds.
    """

    def __init__(self, message: str, status: int, codes: tuple[str, ...], *, retryable: bool, wait_s: float = 0.0):
        super().__init__(message, retryable=retryable)
        self.status = status
        self.codes = codes
        self.wait_s = wait_s


def refusal(
    what: str, host: str, status: int, headers: Mapping[str, str], body: bytes, now_s: float, login: Login | None
) -> RegistryRefusal:
    """The error for an answer. `login` is who was signed in; `now_s` is in seconds since 1970."""
    said = parse_error(body)
    text = f"{what}: {host} answered {status}{f' ({said.text})' if said.text else ''}"
    if status in (401, 403):
        who = f"it was asked as {login}; may that user do this?" if login else "there is no login for it here:"
        text += f"; {who} run `docker login {host}`, or ask whoever runs the registry"
    elif status == 413:
        text += "; it does not take anything that big: it, or a proxy before it, has a limit"
    elif 300 <= status < 400:
        text += "; it sends on to elsewhere too often, or in a way that cannot be followed"
    retryable = status in _RETRYABLE or (status >= 500 and status not in _NOT_RETRYABLE)
    wait_s = parse_retry_after(headers.get("retry-after", ""), now_s) if retryable else 0.0
    return RegistryRefusal(text, status, said.codes, retryable=retryable, wait_s=wait_s)


def network_fault(what: str, host: str, error: Exception) -> RemoteError:
    """The error for a connection that could not be made, or ended early."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    text = f"{type(error).__name__}: {error}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return RemoteError(
            f"{what}: the certificate of {host} is not trusted ({error}); put its authority into this machine's store, "
            f"/etc/docker/certs.d/{host}/ca.crt or the file that SSL_CERT_FILE names; --insecure takes any certificate",
            retryable=False,
        )
    unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
    if any(isinstance(cause, socket.gaierror) and cause.errno in unknown for cause in causes):
        return RemoteError(f"{what}: there is no host {host}: check the name, and the network", retryable=False)
    return RemoteError(f"{what}: {host} cannot be reached ({text}); check the network and proxy settings")
