"""A downloader that may fetch what an environment asks for: with the log-ins and variables of its URLs."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgepack.download import Downloader, index_credentials
from edgepack.resolve.package_requests import PackageRequests
from edgepack.resolve.url_variables import UrlVariables


def open_downloader(
    cache: Path,
    requests: Iterable[PackageRequests],
    environment: Mapping[str, str],
    *,
    offline: bool = False,
    say: Callable[[str], None] | None = None,
) -> Downloader:
    """A downloader into `cache` for the packages of these environments; close it when done."""
    variables = UrlVariables(environment)
    texts = [text for each in requests for text in (*each.options, *each.requirements)]
    credentials = index_credentials(map(variables.expand, texts), environment)
    return Downloader(cache, offline=offline, say=say, credentials=credentials, expand=variables.expand)
