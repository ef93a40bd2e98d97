"""Signatures in registries of all kinds: each that is added leaves the others, and all are found again."""

import json
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError
from edgepack.oci.artifact import cosign_tag
from edgepack.oci.descriptor import INDEX, digest_of, encode_document
from edgepack.oci.layout import read_index
from edgepack.push import push_image
from edgepack.sign import check_remote, sign_remote
from tests.fakes.fake_registry import FakeRegistry, Settings
from tests.fakes.registry_world import REPOSITORY, client
from tests.fakes.signed_output import new_key, write_output


def layers_under_tags(fake: FakeRegistry, digest: str) -> list[int]:
    """How many signatures, and signed statements, cosign finds."""
    own = fake.repository(REPOSITORY)
    manifests = [own.manifests[own.tags[cosign_tag(digest, suffix)]][1] for suffix in ("sig", "att")]
    return [len(json.loads(manifest)["layers"]) for manifest in manifests]


@pytest.mark.parametrize("says_digests", [True, False])
def test_a_second_key_signs_beside_the_first(tmp_path: Path, says_digests: bool) -> None:
    first, second, third = new_key(), new_key(), new_key()
    layout = write_output(tmp_path / "dist", first).layout
    digest = read_index(layout)[0].digest
    with FakeRegistry(Settings(says_digests=says_digests)) as fake, client(fake) as registry:
        push_image(layout, registry, cache=tmp_path / "cache")
        for _ in range(3):
            sign_remote(registry, second)
            assert layers_under_tags(fake, digest) == [2, 6]  # of each key, and not more every time
        push_image(layout, registry, cache=tmp_path / "cache")  # with the signature of the first only
        assert layers_under_tags(fake, digest) == [2, 6]
        for key in (first, second):
            assert len(check_remote(registry, digest, key.public).documents) == 3
        with pytest.raises(DamagedDataError, match="not with this key"):
            check_remote(registry, digest, third.public)


def test_an_index_that_others_have_hung_there_is_none_of_our_business(tmp_path: Path) -> None:
    key = new_key()
    layout = write_output(tmp_path / "dist", key).layout
    subject = read_index(layout)[0]
    about = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    index = encode_document({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": about})
    with FakeRegistry() as fake, client(fake) as registry:
        push_image(layout, registry, cache=tmp_path / "cache")
        registry.push_manifest(index, INDEX, digest_of(index))
        assert len(registry.referrers(subject.digest)) > 1
        assert len(check_remote(registry, subject.digest, key.public).documents) == 3
