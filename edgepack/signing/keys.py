"""Keys: ECDSA on the curve P-256 with SHA-256, the kind that cosign makes and checks.

A private key is a PEM file: PKCS#8 with or without a password, or cosign's own encrypted format (scrypt and NaCl's
secretbox). A password never is an argument of a command, and no message holds one.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import InputError
from edgepack.files import write_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_COSIGN_KEY = "ENCRYPTED SIGSTORE PRIVATE KEY"
_COSIGN_NAMES = (_COSIGN_KEY, "ENCRYPTED COSIGN PRIVATE KEY")
_SCRYPT = {"N": 65536, "r": 8, "p": 1}
_MOST_SCRYPT_BYTES = 512 * 1024 * 1024
_MOST_BYTES = 64 * 1024
_INSTALL = (
    "signatures need two more packages: install edgepack with its extra `signing`, pip install 'edgepack[signing]'"
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Checks signatures."""

    key: "ec.EllipticCurvePublicKey"

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether `signature` (DER) was made over `content` with the private key of this one."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            self.key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hex digest of the key itself, to tell keys apart."""
        from cryptography.hazmat.primitives import serialization

        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return f"sha256:{hashlib.sha256(self.key.public_bytes(serialization.Encoding.DER, form)).hexdigest()}"

    def pem(self) -> bytes:
        """The key as a PEM text."""
        from cryptography.hazmat.primitives import serialization

        return self.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Makes signatures. The same content has the same signature, where this machine's OpenSSL can do that."""

    key: "ec.EllipticCurvePrivateKey"

    def sign(self, content: bytes) -> bytes:
        """The signature (DER) over some bytes."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        except UnsupportedAlgorithm:
            scheme = ec.ECDSA(hashes.SHA256())
        return self.key.sign(content, scheme)

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self.key.public_key())


def require_signing() -> None:
    """Say what is missing before anything is asked or made.

    Raises:
        InputError: the packages for signatures are not installed.
    """
    try:
        import cryptography.hazmat.primitives.asymmetric.ec  # noqa: F401
        import nacl.secret  # noqa: F401
    except ImportError as error:
        raise InputError(f"{_INSTALL} ({error.name} is missing)") from error


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        InputError: it is not there, is no such key, or is a private one.
    """
    require_signing()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    text = _read(path)
    if b"PRIVATE KEY" in text:
        raise InputError(f"{path}: is a private key; what checks a signature is the public one, as in NAME.pub")
    try:
        key = serialization.load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: not a public key in PEM form ({error})") from error
    return PublicKey(_on_the_curve(key, path))


def is_encrypted(path: Path) -> bool:
    """Whether a private key needs a password to be read."""
    text = _read(path)
    return b"ENCRYPTED" in text  # also in the headers of the old form of OpenSSL


def read_signing_key(path: Path, password: bytes | None) -> SigningKey:
    """The private key in a PEM file.

    Raises:
        InputError: it is not there, is no such key, or the password is missing or wrong.
    """
    require_signing()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    text = _read(path)
    if b"PUBLIC KEY" in text:
        raise InputError(f"{path}: is a public key; what signs is the private one, as in NAME.key")
    if is_encrypted(path) and password is None:
        raise InputError(
            f"{path}: is encrypted, and no password is given: set EDGEPACK_KEY_PASSWORD or COSIGN_PASSWORD, or name a "
            "file with --password-file"
        )
    try:
        key: Any
        if any(name.encode() in text for name in _COSIGN_NAMES):
            key = serialization.load_der_private_key(_decrypted(text, password or b"", path), None)
        else:
            key = serialization.load_pem_private_key(text, password if is_encrypted(path) else None)
    except InputError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: not a private key in PEM form, or its password is another") from error
    return SigningKey(_on_the_curve(key, path))


def make_key_pair(name: Path, password: bytes) -> tuple[Path, Path]:
    """Write a new pair as NAME.key (encrypted in cosign's format, for the owner only) and NAME.pub.

    Raises:
        InputError: one of the files is there already.
    """
    require_signing()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    InputError.raise_if_any(_taken(path) for path in (private, public) if path.exists())
    key = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    plain = key.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        write_file(private, _encrypted(plain, password), mode=0o600, replaces=False)
    except FileExistsError as error:
        raise InputError(_taken(private)) from error
    try:
        write_file(public, key.public.pem(), replaces=False)
    except FileExistsError as error:
        private.unlink()
        raise InputError(_taken(public)) from error
    return private, public


def _taken(path: Path) -> str:
    return f"{path}: is there already; a key is never written over: choose another name with -o"


def _encrypted(plain: bytes, password: bytes) -> bytes:
    import nacl.secret
    import nacl.utils

    salt, nonce = os.urandom(32), os.urandom(nacl.secret.SecretBox.NONCE_SIZE)
    box = nacl.secret.SecretBox(_derived(password, salt, _SCRYPT))
    document = {
        "kdf": {"name": "scrypt", "params": _SCRYPT, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(box.encrypt(plain, nonce).ciphertext).decode(),
    }
    body = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {_COSIGN_KEY}-----", *lines, f"-----END {_COSIGN_KEY}-----", ""]).encode()


def _decrypted(text: bytes, password: bytes, path: Path) -> bytes:
    import nacl.exceptions
    import nacl.secret

    try:
        body = b"".join(line for line in text.splitlines() if line.strip() and not line.startswith(b"-----"))
        document = json.loads(base64.b64decode(body, validate=True))
        kdf, cipher = document["kdf"], document["cipher"]
        if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox":
            raise ValueError(f"{kdf['name']} and {cipher['name']} are not known")
        salt, nonce, secret = (
            base64.b64decode(each, validate=True) for each in (kdf["salt"], cipher["nonce"], document["ciphertext"])
        )
        derived = _derived(password, salt, {name: int(kdf["params"][name]) for name in ("N", "r", "p")})
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not an encrypted key in the format of cosign ({error!r})") from error
    try:
        plain: bytes = nacl.secret.SecretBox(derived).decrypt(secret, nonce)
    except (nacl.exceptions.CryptoError, ValueError) as error:
        raise InputError(f"{path}: the password is another, or the file is damaged") from error
    return plain


def _derived(password: bytes, salt: bytes, cost: dict[str, int]) -> bytes:
    if not 0 < 128 * cost["N"] * cost["r"] * max(cost["p"], 1) <= _MOST_SCRYPT_BYTES:
        raise ValueError(f"scrypt with {cost}")
    return hashlib.scrypt(
        password, salt=salt, n=cost["N"], r=cost["r"], p=cost["p"], maxmem=2 * _MOST_SCRYPT_BYTES, dklen=32
    )


def _on_the_curve(key: Any, path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise InputError(
        f"{path}: signatures here are ECDSA on the curve P-256; make such a key with `edgepack key generate -o NAME`"
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: too large for a key")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the key cannot be read ({error.strerror})") from error
