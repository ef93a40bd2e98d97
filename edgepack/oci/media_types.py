"""Media types of images as registries hold them: OCI's and Docker's, side by side. Pure."""

from edgepack.oci.descriptor import CONFIG, INDEX, LAYER_GZIP, MANIFEST

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

INDEXES = (INDEX, DOCKER_INDEX)
IMAGE_MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
MANIFESTS = (*INDEXES, *IMAGE_MANIFESTS)
CONFIGS = (CONFIG, DOCKER_CONFIG)
GZIP_LAYERS = (LAYER_GZIP, DOCKER_LAYER_GZIP)
TAR_LAYERS = (LAYER_TAR, DOCKER_LAYER_TAR)
ZSTD_LAYERS = (LAYER_ZSTD, "application/vnd.docker.image.rootfs.diff.tar.zstd")
LAYERS = (*GZIP_LAYERS, *TAR_LAYERS, *ZSTD_LAYERS)

DOCKER_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)


def is_foreign(media_type: str) -> bool:
    """Whether a layer of this type may be kept elsewhere than in the registry: Windows base layers are."""
    return ".foreign." in media_type or ".nondistributable." in media_type
