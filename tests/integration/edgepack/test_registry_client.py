"""The client against registries of all kinds, on the loopback interface."""

import base64
import gzip
import io
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from edgepack.errors import InputError, RemoteError
from edgepack.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, digest_of, encode_document
from edgepack.oci.layout import blob_path
from edgepack.oci.media_types import DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER_GZIP, DOCKER_MANIFEST
from edgepack.oci.reference import parse_remote_reference
from edgepack.oci.registry import PushedBlob, Registry
from edgepack.oci.registry_backoff import Clock
from edgepack.oci.validate import verify_layout
from edgepack.pull import pull_image, remote_content
from edgepack.push import push_image
from tests.fakes.fake_registry import Answer, FakeRegistry, Settings
from tests.fakes.registry_world import PIECE_BYTES, REPOSITORY, assert_stored, client, tree_of, write_image


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return write_image(tmp_path)


def send(registry: Registry, content: bytes, mount_from: str | None = None) -> PushedBlob:
    """Push some bytes as a blob."""
    descriptor = Descriptor("application/octet-stream", digest_of(content), len(content))
    return registry.push_blob(descriptor, lambda: io.BytesIO(content), mount_from)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(says_digests=False),
        Settings(location="absolute"),
        Settings(location="query"),
        Settings(location="other host"),
        Settings(takes_pieces=False),
        Settings(least_piece_bytes=2500),
        Settings(least_piece_bytes=100_000),
        Settings(has_referrers=False, redirects_blobs=True),
        Settings(login=("user", "secret"), auth="basic"),
        Settings(login=("user", "secret")),
        Settings(login=("user", "secret"), token_uses=12),
        Settings(login=("user", "secret"), location="other host", redirects_blobs=True),
    ],
    ids=str,
)
def test_what_was_pushed_comes_back(layout: Path, tmp_path: Path, settings: Settings) -> None:
    with FakeRegistry(settings) as fake:
        environment = {"HOME": str(tmp_path)}
        write_login(tmp_path, fake.host, "user", "secret")
        with client(fake, environment=environment) as registry:
            push_image(layout, registry, cache=tmp_path / "cache")
            assert_stored(fake, layout)
            pull_image(registry, tmp_path / "back", cache=tmp_path / "cache")
        for blob in tree_of(layout).blobs:
            assert blob_path(tmp_path / "back", blob.digest).read_bytes() == blob_path(layout, blob.digest).read_bytes()
        assert verify_layout(tmp_path / "back").index.digest == tree_of(layout).root.digest
        for asked in fake.asked:
            assert asked.host == fake.host or "Authorization" not in asked.headers
        least = settings.least_piece_bytes
        pieces = [int(each.headers["Content-Length"]) for each in fake.asked if each.method == "PATCH"]
        assert all(size >= least for size in pieces[:1])


def test_pieces_go_on_after_a_cut_where_the_registry_is() -> None:
    content = os.urandom(10 * PIECE_BYTES)
    with FakeRegistry() as fake, client(fake) as registry:
        fake.faults[7] = "cut within"  # after probe, HEAD, POST and three pieces, half of the fourth arrives
        assert send(registry, content).sent_bytes < len(content) + PIECE_BYTES
        starts = [each.headers["Content-Range"].partition("-")[0] for each in fake.asked if each.method == "PATCH"]
        assert starts[3:6] == ["3000", "3500", "4500"]
        assert fake.count("POST") == 1
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_piece_that_the_registry_has_already_is_not_sent_twice() -> None:
    content = os.urandom(4 * PIECE_BYTES)
    with FakeRegistry() as fake, client(fake) as registry:
        fake.faults[5] = "cut after"  # the second piece arrived, but its answer did not
        send(registry, content)
        assert fake.count("PATCH") == 4
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_registry_that_is_elsewhere_says_416_and_is_asked_where() -> None:
    content = os.urandom(4 * PIECE_BYTES)
    with FakeRegistry() as fake, client(fake) as registry:
        fake.faults[5] = Answer(416, {})
        send(registry, content)
        assert fake.count("GET", "uploads") == 1
        assert fake.count("POST") == 1
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_forgotten_upload_is_begun_anew() -> None:
    content = os.urandom(4 * PIECE_BYTES)
    with FakeRegistry() as fake, client(fake) as registry:
        gone = b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN"}]}'
        fake.faults[5] = Answer(404, {}, gone)
        fake.faults[7] = Answer(404, {}, gone)  # the question for its state
        send(registry, content)
        assert fake.count("POST") == 2
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


@pytest.mark.parametrize("size", [10, 5 * PIECE_BYTES])
def test_an_upload_that_was_garbled_on_its_way_is_repeated(size: int) -> None:
    content = os.urandom(size)
    with FakeRegistry() as fake, client(fake) as registry:
        put = 4 if size < PIECE_BYTES else 9
        fake.faults[put] = Answer(400, {}, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        send(registry, content)
        assert fake.count("POST") == 2
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_mount_asks_for_both_repositories_and_moves_nothing() -> None:
    content = os.urandom(5 * PIECE_BYTES)
    with FakeRegistry(Settings(identity_token="identity")) as fake:
        fake.put_blob("team/other", content)
        with signed_in_by_token(fake) as registry:
            assert send(registry, content, "team/other") == PushedBlob("mounted", 0)
            assert send(registry, content, "team/other") == PushedBlob("present", 0)
        assert {f"{REPOSITORY}:push", "team/other:pull"} <= [scopes for scopes, _ in fake.tokens.values()][-1]


@pytest.mark.parametrize("settings", [Settings(mounts=False), Settings()], ids=["no mounts", "not there"])
def test_what_cannot_be_mounted_is_uploaded_by_the_session_that_was_begun(settings: Settings) -> None:
    content = os.urandom(5 * PIECE_BYTES)
    with FakeRegistry(settings) as fake, client(fake) as registry:
        assert send(registry, content, "team/other").kind == "uploaded"
        assert fake.count("POST") == 1
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_mount_that_may_not_even_be_asked_for_is_no_error() -> None:
    content = os.urandom(10)
    with FakeRegistry() as fake, client(fake) as registry:
        fake.faults[3] = Answer(403, {})
        assert send(registry, content, "secret/other").kind == "uploaded"


def test_places_of_blobs_are_remembered_for_the_next_repository(layout: Path, tmp_path: Path) -> None:
    with FakeRegistry() as fake:
        for repository in ("team/first", "team/second"):
            with client(fake, repository) as registry:
                report = push_image(layout, registry, cache=tmp_path / "cache")
        assert report.count("mounted") == len(tree_of(layout).blobs)
        assert report.size_bytes("mounted") == sum(blob.size for blob in tree_of(layout).blobs)
        assert_stored(fake, layout, "team/second")


def signed_in_by_token(fake: FakeRegistry) -> Registry:
    """A client whose user has an identity token."""
    folder = Path(tempfile.mkdtemp())
    (folder / "config.json").write_text(json.dumps({"auths": {fake.host: {"identitytoken": "identity"}}}))
    return client(fake, environment={"HOME": "/nonexistent", "DOCKER_CONFIG": str(folder)})


def test_an_identity_token_is_exchanged_by_post() -> None:
    with FakeRegistry(Settings(identity_token="identity")) as fake, signed_in_by_token(fake) as registry:
        assert send(registry, b"content").kind == "uploaded"
        assert fake.count("POST", "/token") == 1
        assert not any("identity" in each.path for each in fake.asked)


def test_a_token_server_without_identity_tokens_is_told(tmp_path: Path) -> None:
    settings = Settings(identity_token="identity", identity_by_post=False)
    with (
        FakeRegistry(settings) as fake,
        signed_in_by_token(fake) as registry,
        pytest.raises(RemoteError, match=r"token server .* answered 404"),
    ):
        send(registry, b"content")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_refused_login_is_told_without_the_password(tmp_path: Path, auth: str) -> None:
    with FakeRegistry(Settings(login=("user", "right"), auth=auth)) as fake:
        write_login(tmp_path, fake.host, "user", "wrong-secret")
        with (
            client(fake, environment={"HOME": str(tmp_path)}) as registry,
            pytest.raises(RemoteError, match=r"user user in .*docker login 127\.0\.0\.1") as caught,
        ):
            send(registry, b"content")
        assert "wrong-secret" not in str(caught.value)
        assert not caught.value.retryable


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_missing_login_is_told(auth: str) -> None:
    with (
        FakeRegistry(Settings(login=("user", "right"), auth=auth)) as fake,
        client(fake) as registry,
        pytest.raises(RemoteError, match="docker login"),
    ):
        send(registry, b"content")


def test_a_token_that_expires_within_an_upload_is_renewed_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    content = os.urandom(10 * PIECE_BYTES)
    with FakeRegistry(Settings(login=("user", "secret"), token_uses=4)) as fake:
        write_login(tmp_path, fake.host, "user", "secret")
        with client(fake, environment={"HOME": str(tmp_path)}) as registry:
            send(registry, content)
        assert len(fake.tokens) > 2
        assert fake.count("POST", "uploads") == 1
        assert fake.repository(REPOSITORY).blobs[digest_of(content)] == content


def test_a_download_goes_on_after_a_cut_where_it_was(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    with FakeRegistry() as fake, client(fake) as registry:
        digest = fake.put_blob(REPOSITORY, content)
        fake.faults[2] = "cut answer"
        registry.fetch_blob(Descriptor("a/b", digest, len(content)), tmp_path / "blob")
        assert fake.asked[-1].headers["Range"] == "bytes=50000-"
    assert (tmp_path / "blob").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


def test_a_blob_that_is_not_what_its_name_says_never_appears(tmp_path: Path) -> None:
    with FakeRegistry() as fake, client(fake) as registry:
        digest = digest_of(b"right")
        fake.repository(REPOSITORY).blobs[digest] = b"wrong"
        with pytest.raises(RemoteError, match="gave 5 bytes with digest"):
            registry.fetch_blob(Descriptor("a/b", digest, 5), tmp_path / "blob")
    assert not list(tmp_path.iterdir())


def test_a_manifest_that_is_not_what_its_name_says_is_refused(layout: Path, tmp_path: Path) -> None:
    with FakeRegistry() as fake, client(fake) as registry:
        push_image(layout, registry, cache=tmp_path / "cache")
        own = fake.repository(REPOSITORY)
        digest = own.tags["1.0"]
        own.manifests[digest] = (INDEX, own.manifests[digest][1] + b" ")
        for name in (digest, "1.0"):
            with pytest.raises(RemoteError, match="the registry gave bytes with digest"):
                registry.manifest(name)


@pytest.mark.parametrize("has_referrers", [True, False])
def test_referrers_are_listed_by_the_registry_or_under_a_tag(has_referrers: bool) -> None:
    with FakeRegistry(Settings(has_referrers=has_referrers)) as fake, client(fake) as registry:
        send(registry, b"{}")
        config = Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2).document()
        subject = Descriptor(MANIFEST, digest_of(b"subject"), 7)
        assert registry.referrers(subject.digest) == ()
        pushed = []
        for kind in ("a/one", "a/two", "a/one"):
            document = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": kind,
                "config": config,
                "layers": [],
                "subject": subject.document(),
            }
            content = encode_document(document)
            pushed.append(registry.push_manifest(content, MANIFEST, digest_of(content)))
        assert {each.digest for each in registry.referrers(subject.digest)} == {each.digest for each in pushed}
        assert [each.digest for each in registry.referrers(subject.digest, "a/two")] == [pushed[1].digest]
        assert len(registry.referrers(subject.digest)) == 2
        assert (subject.digest.replace(":", "-") in fake.repository(REPOSITORY).tags) is not has_referrers


def docker_image(fake: FakeRegistry, *, layer_type: str = DOCKER_LAYER_GZIP) -> tuple[str, str]:
    """An image of an engine, with an attestation in its index; digests of the index and of its amd64 manifest."""
    own = fake.repository(REPOSITORY)

    def document(value: dict[str, object], media_type: str) -> dict[str, object]:
        content = encode_document(value)
        own.manifests[digest_of(content)] = (media_type, content)
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        return {"mediaType": media_type, "digest": fake.put_blob(REPOSITORY, content), "size": len(content)}

    tar = b"\0" * 1024
    config = {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
        "history": [{"created_by": "FROM nothing", "empty_layer": True}, {"created_by": "COPY file"}],
    }
    layer = blob(gzip.compress(tar, mtime=0), layer_type)
    image = document(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": blob(encode_document(config), DOCKER_CONFIG),
            "layers": [layer],
        },
        DOCKER_MANIFEST,
    )
    statement = blob(b'{"_type": "statement"}', "application/vnd.in-toto+json")
    attestation = document(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": blob(b"{}", CONFIG), "layers": [statement]}, MANIFEST
    )
    index = document(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_INDEX,
            "manifests": [
                {**image, "platform": {"os": "linux", "architecture": "arm64"}},
                {**attestation, "platform": {"os": "unknown", "architecture": "unknown"}},
            ],
        },
        DOCKER_INDEX,
    )
    own.tags["1.0"] = str(index["digest"])
    own.tags["alone"] = str(image["digest"])
    return str(index["digest"]), str(image["digest"])


def test_an_engines_image_is_pulled_whole_and_pushed_on_as_it_is(tmp_path: Path) -> None:
    with FakeRegistry() as fake:
        index, _ = docker_image(fake)
        with client(fake) as registry:
            content = remote_content(registry)
            assert [each.name for each in content.platforms] == ["linux/arm64/v8"]
            assert content.platforms[0].document()["layers"][0]["title"] == "COPY file"
            report = pull_image(registry, tmp_path / "image", cache=tmp_path / "cache")
        assert (report.digest, report.platforms) == (index, ("linux/arm64",))
        assert verify_layout(tmp_path / "image").index.digest == index
        with client(fake, "copy/of") as registry:
            push_image(tmp_path / "image", registry, cache=tmp_path / "cache")
        assert_stored(fake, tmp_path / "image", "copy/of")


@pytest.mark.parametrize(
    ("target", "platform"), [(":1.0", "linux/arm64"), (":alone", None), (":alone", "linux/arm64/v8")]
)
def test_one_platform_is_pulled_by_its_own_digest(tmp_path: Path, target: str, platform: str | None) -> None:
    with FakeRegistry() as fake:
        _, image = docker_image(fake)
        with client(fake, target=target) as registry:
            report = pull_image(registry, tmp_path / "image", cache=tmp_path / "cache", platform=platform)
        assert report.digest == image
        assert verify_layout(tmp_path / "image").index.digest == image


def test_layers_that_are_kept_elsewhere_are_refused(tmp_path: Path) -> None:
    with FakeRegistry() as fake:
        docker_image(fake, layer_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
        with client(fake) as registry, pytest.raises(InputError, match="foreign"):
            pull_image(registry, tmp_path / "image", cache=tmp_path / "cache")


def test_a_pull_brings_a_layout_up_to_date_and_fetches_only_what_is_new(tmp_path: Path) -> None:
    large = os.urandom(5000)
    first, second = (write_image(tmp_path / name, large, name.encode()) for name in ("first", "second"))
    with FakeRegistry() as fake:
        for layout in (first, second):
            with client(fake) as registry:
                push_image(layout, registry, cache=tmp_path / "cache")
                report = pull_image(registry, tmp_path / "image", cache=tmp_path / "cache")
    assert report.present == 3  # the base of each platform, the large layer
    assert verify_layout(tmp_path / "image").index.digest == tree_of(second).root.digest
    new = {path.name for path in (tmp_path / "image" / "blobs" / "sha256").iterdir()}
    assert new == {path.name for path in (second / "blobs" / "sha256").iterdir()}


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with FakeRegistry() as fake:
        docker_image(fake)
        with client(fake) as registry, pytest.raises(InputError, match="holds other things"):
            pull_image(registry, tmp_path, cache=tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def far_client(answer: Callable[[httpx.Request], httpx.Response], *, insecure: bool = False) -> Registry:
    """A client of a registry that is not on this machine."""
    return Registry(
        parse_remote_reference("registry.example.com/team/x"),
        environment={"HOME": "/nonexistent"},
        clock=Clock(pause=lambda _s: None),
        transport=httpx.MockTransport(answer),
        insecure=insecure,
    )


def reply(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """An answer whose body is still to be read, as from a network."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))


@pytest.mark.parametrize("is_insecure", [False, True])
def test_plain_http_elsewhere_is_refused_by_the_same_rule(is_insecure: bool, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if request.url.host == "blobs.example.com":
            return reply(200, b"content")
        return reply(307, location="http://blobs.example.com/x")

    descriptor = Descriptor("a/b", digest_of(b"content"), 7)
    with far_client(answer, insecure=is_insecure) as registry:
        if is_insecure:
            registry.fetch_blob(descriptor, tmp_path / "blob")
        else:
            with pytest.raises(RemoteError, match="not encrypted; --insecure allows it"):
                registry.fetch_blob(descriptor, tmp_path / "blob")
    assert asked[0].startswith("https://registry.example.com/v2/")
    assert ("http://blobs.example.com/x" in asked) is is_insecure


def test_no_login_goes_to_a_token_server_in_the_clear() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "registry.example.com"
        return reply(401, www_authenticate='Bearer realm="http://tokens.example.com/token"')

    with far_client(answer) as registry, pytest.raises(RemoteError, match="not encrypted"):
        registry.tags()


def test_redirections_without_end_are_left() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return reply(307, location=str(request.url))

    with far_client(answer) as registry, pytest.raises(RemoteError, match="sends on to elsewhere too often"):
        registry.tags()
    assert len(asked) == 6


def test_tags_of_all_pages() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "last" in request.url.params:
            return reply(200, b'{"tags": ["c"]}')
        link = '</v2/team/x/tags/list?n=1000&last=b>; rel="next"'
        return reply(200, b'{"tags": ["a", "b"]}', link=link)

    with far_client(answer) as registry:
        assert registry.tags() == ("a", "b", "c")


def test_an_image_of_schema_1_is_told_apart() -> None:
    with (
        far_client(lambda _request: reply(200, b'{"schemaVersion": 1}')) as registry,
        pytest.raises(RemoteError, match="schema 1"),
    ):
        registry.manifest("latest")


def test_stopping_ends_what_another_thread_waits_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reference = parse_remote_reference(f"127.0.0.1:{silent.getsockname()[1]}/team/x")
        failed: list[RemoteError] = []
        with Registry(reference, environment={"HOME": "/nonexistent"}) as registry:

            def ask() -> None:
                try:
                    registry.tags()
                except RemoteError as error:
                    failed.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            silent.accept()[0].close()  # it tries TLS first
            accepted, _ = silent.accept()
            with accepted:
                accepted.recv(1)  # it has begun to speak, and waits for an answer
                registry.stop()
                thread.join(10)
        assert not thread.is_alive()
        assert failed


def write_login(home: Path, host: str, user: str, password: str) -> None:
    """What `docker login` writes."""
    (home / ".docker").mkdir(exist_ok=True)
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": text}}}))
