"""Which files of a source folder stay out of the image: what its ignore files say, and what looks like a secret.

All are patterns as in a `.gitignore`, and the last that matches counts: first `.amlignore` (or without one
`.gitignore`, as in v1), then the names of secrets, then `.edgepackignore`, then what a project or a command excludes.
So a `!` pattern in `.edgepackignore` keeps what looks like a secret and is none.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import InputError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_FILE = ".edgepackignore"
_V1_FILES = (".amlignore", ".gitignore")
_SUFFIXES = "pem key pfx p12 jks keystore ppk kdbx publishsettings".split()
SECRETS = (
    *(f"*.{suffix}" for suffix in _SUFFIXES),
    *(f"*.{suffix.upper()}" for suffix in _SUFFIXES),
    *".env .env.* *.env .envrc id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk".split(),
    *".netrc _netrc .pgpass .my.cnf .pypirc pip.conf .npmrc .yarnrc .git-credentials .htpasswd .dockercfg".split(),
    *".aws/ .azure/ .ssh/ .gnupg/ .kube/ .docker/ .config/gcloud/ .git/ .terraform/ *.tfstate".split(),
    *".secrets secrets.toml secrets.yaml secrets.yml secrets.json credentials".split(),
)
_IN_TEXT = re.compile(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----|(?:SharedAccess|Account)Key=[A-Za-z0-9+/]{16,}={0,2}")
_MOST_TEXT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """The paths that go into the image, and those that only stay out since they look like secrets; both sorted."""

    kept: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules of one folder: patterns before those of secrets, and after."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def choose(self, paths: Iterable[str]) -> Choice:
        """Decide about paths relative to the folder.

        Raises:
            InputError: a pattern is none.
        """
        spec = _spec((*self.before, *SECRETS, *self.after))
        kept, secrets = [], []
        for path in sorted(paths):
            result = spec.check_file(path)
            if not result.include:
                kept.append(path)
            elif result.index is not None and 0 <= result.index - len(self.before) < len(SECRETS):
                secrets.append(path)
        return Choice(tuple(kept), tuple(secrets))


def read_rules(folder: Path, excluded: Sequence[str] = ()) -> IgnoreRules:
    """The rules of a folder; `excluded` are patterns of the project and the command.

    Raises:
        InputError: an ignore file cannot be read, or has a line that is no pattern.
    """
    v1 = next((folder / name for name in _V1_FILES if (folder / name).is_file()), None)
    own = folder / OWN_FILE
    before = _lines(v1) if v1 else ()
    after = _lines(own) if own.is_file() else ()
    for where, lines in ((v1, before), (own, after), ("exclude", tuple(excluded))):
        try:
            _spec(lines)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
    return IgnoreRules(before, (*after, *excluded))


def secret_names(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of some paths that look like secrets by their names."""
    return IgnoreRules().choose(paths).secrets


def holds_secret(file: Path) -> bool:
    """Whether a file's text has a private key, or a connection string with its key."""
    try:
        if file.stat().st_size > _MOST_TEXT_BYTES:
            return False
        return _IN_TEXT.search(file.read_bytes()) is not None
    except OSError:
        return False


def _spec(lines: Sequence[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as UTF-8 text ({reason})") from error
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))
