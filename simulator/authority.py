"""The certificate authority of one run: made anew each time, in memory, trusted by nobody else; by trustme."""

import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import trustme

from simulator.workload_rules import IssuedCertificate


class Authority:
    """Issues the certificates of a run: of the hub, of the service interface, and those that modules ask for."""

    def __init__(self) -> None:
        self.ca = trustme.CA(organization_name="edgepack simulator")

    @property
    def ca_pem(self) -> str:
        """The authority's own certificate, as PEM."""
        return self.ca.cert_pem.bytes().decode()

    def issue(self, names: Sequence[str], common_name: str, not_after: datetime) -> IssuedCertificate:
        """A certificate for server and client, with its key."""
        made = self.ca.issue_cert(*names, common_name=common_name, not_after=not_after)
        chain = "".join(pem.bytes().decode() for pem in made.cert_chain_pems)
        return IssuedCertificate(made.private_key_pem.bytes().decode(), chain)

    def server_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """TLS 1.2 and 1.3 with a certificate for these host names and addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ca.issue_cert(*names).configure_cert(context)
        return context

    def write_server_files(self, names: Sequence[str], folder: Path) -> tuple[Path, Path]:
        """Write a certificate chain and its key (readable by this user only) for a server that wants files."""
        issued = self.ca.issue_cert(*names)
        certificate, key = folder / "server.pem", folder / "server.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key
