"""A throw-away OpenPGP key that signs release files, made by the machine's gpg."""

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class SigningKey:
    """A context manager; `keyring` is the file with the public key."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True)
        self._home = Path(self._folder.name)
        self.keyring = self._home / "public.gpg"

    def __enter__(self) -> Self:
        self._gpg("--quick-generate-key", "Nobody <nobody@example.com>", "ed25519", "sign", "never")
        self._gpg("--output", str(self.keyring), "--export")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "gpg-agent"], check=False, capture_output=True)
        self._folder.cleanup()

    def sign(self, text: str) -> bytes:
        """The text in an InRelease file."""
        return self._gpg("--digest-algo", "SHA512", "--clearsign", content=text.encode())

    def _gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        done = subprocess.run(
            [*command, "--passphrase", "", *arguments], input=content, capture_output=True, check=True
        )
        return done.stdout
