"""Which certificates of registries to trust: this machine's, and those that engines are given for one registry.

`SSL_CERT_FILE` and `SSL_CERT_DIR` replace this machine's store, as they do for OpenSSL. The folder
`/etc/docker/certs.d/HOST[:PORT]` may hold `*.crt` (authorities), and pairs `NAME.cert`, `NAME.key` (this client's own).
"""

import ssl
from pathlib import Path

from edgepack.download import trusted_roots
from edgepack.errors import InputError

CERTIFICATES = Path("/etc/docker/certs.d")


def registry_trust(server: str, *, insecure: bool, folder: Path = CERTIFICATES) -> ssl.SSLContext:
    """The TLS context for `HOST[:PORT]`; one that takes any certificate if `insecure`.

    Raises:
        InputError: a file for this registry cannot be read, or holds no certificate.
    """
    import httpx

    context = httpx.create_ssl_context(verify=False) if insecure else trusted_roots() or httpx.create_ssl_context()
    for path in sorted((folder / server).glob("*")):
        try:
            if path.suffix == ".crt":
                context.load_verify_locations(path)
            elif path.suffix == ".cert":
                context.load_cert_chain(path, path.with_suffix(".key"))
        except OSError as error:  # ssl.SSLError is one
            raise InputError(f"{path}: no certificate in PEM, or its key is missing ({error})") from error
    return context
