"""What stays out of an image, and what has the last word."""

from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.left_out import IgnoreRules, holds_secret, read_rules, secret_names

SECRETS = (
    ".env .env.local prod.env sub/.env cert.pem KEY.PEM tls.key store.pfx id_rsa sub/id_ed25519 .netrc .pypirc "
    "pip.conf .aws/credentials .ssh/config .git-credentials .docker/config.json secrets.json sub/.git/config "
    "terraform.tfstate"
).split()
PLAIN = "score.py id_rsa.pub keyboard.py credentials.py environment.yml data/secrets.csv ca.crt my.key.py".split()


def test_names_of_secrets() -> None:
    assert set(secret_names([*SECRETS, *PLAIN])) == set(SECRETS)


def test_the_own_ignore_file_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("# old\n\nnotes/\nscore.py\n")
    (tmp_path / ".edgepackignore").write_text("!ca.pem\n!.aws/credentials\n!score.py\n*.csv\n")
    paths = ["score.py", "notes/a.txt", "ca.pem", "own.pem", ".aws/credentials", "a.csv", "b.txt"]
    choice = read_rules(tmp_path, ["b.*"]).choose(paths)
    assert choice.kept == (".aws/credentials", "ca.pem", "score.py")
    assert choice.secrets == ("own.pem",)


def test_amlignore_counts_instead_of_gitignore_and_cannot_bring_secrets_back(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("a.txt\n")
    (tmp_path / ".amlignore").write_text("b.txt\n!own.pem\n")
    choice = read_rules(tmp_path).choose(["a.txt", "b.txt", "own.pem"])
    assert choice.kept == ("a.txt",)
    assert choice.secrets == ("own.pem",)


def test_a_secret_that_is_excluded_by_hand_is_not_told() -> None:
    assert IgnoreRules((), ("*.pem",)).choose(["own.pem"]).secrets == ()


def test_what_is_no_pattern_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exclude"):
        read_rules(tmp_path, ["!"])
    (tmp_path / ".edgepackignore").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        read_rules(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-----BEGIN RSA PRIVATE KEY-----\nx", True),
        ("c = 'HostName=h;DeviceId=d;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAAAA='", True),
        ("AccountKey=...", False),
        ("-----BEGIN CERTIFICATE-----", False),
    ],
)
def test_texts_with_keys(tmp_path: Path, text: str, found: bool) -> None:
    (tmp_path / "a.py").write_text(text)
    assert holds_secret(tmp_path / "a.py") is found
