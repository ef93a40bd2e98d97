"""Names of images as a deployment has them. Pure."""

from typing import NamedTuple


class ImageName(NamedTuple):
    """`repository` with its registry; `tag` and `digest` are "" when the name has none."""

    repository: str
    tag: str
    digest: str

    @property
    def last(self) -> str:
        """The last part of the repository, by which well-known images are known in any registry."""
        return self.repository.rpartition("/")[2]


def parse_image_name(text: str) -> ImageName:
    """Take a name apart: `REGISTRY:PORT/A/B:TAG`, `A/B@sha256:HEX`; blanks around it do not count."""
    name, _, digest = text.strip().partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return ImageName(f"{head}{slash}{repository}", tag, digest)
