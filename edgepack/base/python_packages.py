"""Which Debian package is which package of the Python index, and its version as the index would write it. Pure.

Debian's rule is `python3-NAME` with the name of the import, mostly that of the index; the others stand here.
"""

import re

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from edgepack.base.apt import PackageLists
from edgepack.base.base_image import SuppliedPackage

_OTHER_NAMES = {
    "beautifulsoup4": "bs4",
    "msgpack-python": "msgpack",
    "opencv-contrib-python": "opencv",
    "opencv-contrib-python-headless": "opencv",
    "opencv-python": "opencv",
    "opencv-python-headless": "opencv",
    "pillow": "pil",
    "pyopenssl": "openssl",
    "pyserial": "serial",
    "python-snappy": "snappy",
    "pywavelets": "pywt",
    "pyyaml": "yaml",
    "pyzmq": "zmq",
    "rpi-gpio": "rpi.gpio",
    "ruamel-yaml-clib": "ruamel.yaml.clib",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}


def debian_name(name: str) -> str:
    """The Debian package for a package of the index, if Debian has one."""
    plain = canonicalize_name(name)
    return f"python3-{_OTHER_NAMES.get(plain, plain)}"


def index_version(version: str) -> str | None:
    """A Debian version as the index has it: `1:1.24.2-1+deb12u1` is 1.24.2, `2.0~rc1+ds-1` is 2.0rc1; None if none."""
    upstream = version.partition(":")[2] or version
    upstream = upstream.rpartition("-")[0] or upstream
    upstream = upstream.rpartition("+really")[2]
    upstream = re.sub(r"~(?=(a|b|rc)\d)", "", upstream)
    plain = re.split(r"[+~]", upstream)[0]
    try:
        return str(Version(plain))
    except InvalidVersion:
        return None


def find_supplied(name: str, available: PackageLists) -> SuppliedPackage | None:
    """What a Debian release has of a package of the index."""
    debian = debian_name(name)
    found = available.find(debian)
    if found is None or found.package.name != debian:
        return None
    version = index_version(found.package.version)
    return SuppliedPackage(canonicalize_name(name), version, debian) if version else None
