"""What is found in images like the well-known ones, and what is said of those that will not do."""

from collections.abc import Sequence

import pytest

from edgepack.base.probe import KEPT, Found, probe
from edgepack.errors import InputError
from edgepack.oci.platform import AMD64, ARM64, ARM_V7, Platform
from tests.fakes.base_image import FOLDER, Files, Link, debian_layers, file_tree, libc, program, slim_layers


def found(layers: Sequence[Files], platform: Platform = AMD64) -> Found:
    return probe(file_tree(layers, KEPT), platform, "base x")


def refusal(layers: Sequence[Files], platform: Platform = AMD64) -> str:
    with pytest.raises(InputError) as caught:
        found(layers, platform)
    assert str(caught.value).startswith("base x: ")
    return str(caught.value)


@pytest.mark.parametrize("platform", [AMD64, ARM64, ARM_V7])
def test_a_python_of_its_own_beside_debian(platform: Platform) -> None:
    image = found(slim_layers(platform=platform), platform)
    assert image.interpreter == "/usr/local/bin/python3.12"
    assert (image.python_full, image.glibc) == ("3.12.7", "2.36")
    assert image.site_folder == "usr/local/lib/python3.12/site-packages"
    assert image.passwd.splitlines() == [
        "root:x:0:0:root:/root:/bin/bash",
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin",
        "edgepack:x:1000:1000::/var/lib/edgepack:/usr/sbin/nologin",
    ]
    assert image.group == "root:x:0:\nedgepack:x:1000:\n"


def test_debians_python() -> None:
    image = found(debian_layers())
    assert (image.interpreter, image.python_full) == ("/usr/bin/python3.11", "3.11.2")
    assert image.site_folder == "usr/local/lib/python3.11/dist-packages"


def test_without_a_user_database() -> None:
    layers: list[Files] = [{name: content for name, content in debian_layers()[0].items() if "passwd" not in name}]
    image = found(layers)
    assert image.passwd.startswith("root:x:0:0:")
    assert image.passwd.count("\n") == 2
    assert image.group == "root:x:0:\nedgepack:x:1000:\n"


def test_an_image_that_knows_the_user() -> None:
    users: Files = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n"}
    image = found([*slim_layers(), users])
    assert (image.passwd, image.group) == ("", "")


def test_the_name_of_the_user_is_taken() -> None:
    users: Files = {"etc/passwd": b"edgepack:x:7:7::/:/bin/sh", "etc/group": b"x:x:1000:"}
    image = found([*slim_layers(), users])
    assert image.passwd.splitlines()[1].startswith("edgepack-1000:x:1000:1000:")
    assert image.group == ""


def test_python_on_another_place_behind_a_link() -> None:
    layers: list[Files] = [
        {
            "usr/lib/x86_64-linux-gnu/libc.so.6": libc("2.41"),
            "opt/py/bin/python3.13": program(version="3.13.5"),
            "opt/py/lib/python3.13/site.py": b"site-packages",
            "usr/local/bin/python3": Link("/opt/py/bin/python3.13"),
        }
    ]
    image = found(layers)
    assert image.interpreter == "/usr/local/bin/python3"
    assert image.site_folder == "opt/py/lib/python3.13/site-packages"
    assert image.glibc == "2.41"


def test_the_library_in_lib64() -> None:
    layers: list[Files] = [
        {
            "lib64": Link("usr/lib64"),
            "usr/lib64/libc.so.6": Link("libc-2.34.so"),
            "usr/lib64/libc-2.34.so": libc("2.34"),
            "usr/bin/python3.12": program(version="3.12.5"),
            "usr/lib64/python3.12/site.py": b"site-packages",
            "usr/lib/python3.12/site-packages": FOLDER,
        }
    ]
    image = found(layers)
    assert (image.glibc, image.site_folder) == ("2.34", "usr/lib/python3.12/site-packages")


def test_a_newer_python_is_taken_where_python3_is_too_old() -> None:
    more: Files = {"usr/bin/python3.9": program(version="3.9.2"), "usr/bin/python3": Link("python3.9")}
    assert found([*debian_layers(), more]).interpreter == "/usr/bin/python3.11"


def test_the_version_is_read_from_the_bytes_of_a_candidate_too() -> None:
    assert found(debian_layers("3.14.0rc2")).python_full == "3.14.0rc2"


@pytest.mark.parametrize(
    "library",
    [
        b"prefix: /opt/versions/3.12.4\0 and 13.12.5\0 and 2.3.12.6\0",
        b"x\0003.12.4+\0",
        b"/3.12.3\0 is somebody else's\0003.12.4\0",
    ],
)
def test_a_version_at_the_end_of_another_text(library: bytes) -> None:
    layers = slim_layers()
    layers[1] = {**layers[1], "usr/local/lib/libpython3.12.so.1.0": library}
    assert found(layers).python_full == "3.12.4"


def test_a_version_in_the_headers() -> None:
    layers = slim_layers()
    header = b'#define PY_MAJOR_VERSION\t3\n#define PY_VERSION      \t"3.12.9"\n'
    layers[1] = {
        **layers[1],
        "usr/local/lib/libpython3.12.so.1.0": b"",
        "usr/local/include/python3.12/patchlevel.h": header,
    }
    assert found(layers).python_full == "3.12.9"


def test_a_whiteout_removes_a_python() -> None:
    gone: Files = {"usr/local/bin/.wh.python3": b"", "usr/local/bin/.wh.python3.12": b""}
    assert "no Python in /usr/local/bin or /usr/bin" in refusal([*slim_layers(), gone])


def test_no_python_at_all() -> None:
    text = refusal(slim_layers()[:1])
    assert "has no Python" in text
    assert "python:3.12-slim" in text


def test_a_python_2_is_named() -> None:
    assert "/usr/bin/python2.7" in refusal([{"usr/bin/python2.7": program(version="2.7.18")}])


def test_a_python_that_is_too_old() -> None:
    text = refusal(debian_layers("3.9.2"))
    assert "has Python 3.9.2 in /usr/bin/python3.9" in text
    assert "needs Python 3.11 or newer" in text


def test_musl_by_the_loader_of_python() -> None:
    layers: list[Files] = [
        {
            "lib/ld-musl-x86_64.so.1": b"musl",
            "usr/local/bin/python3.12": program(loader="/lib/ld-musl-x86_64.so.1", version="3.12.7"),
            "usr/local/lib/python3.12/site.py": b"site-packages",
        }
    ]
    text = refusal(layers)
    assert "its C library is musl" in text
    assert "slim" in text


def test_no_c_library_where_it_should_be() -> None:
    layers: list[Files] = [{**slim_layers()[1]}]
    assert "wheels need the C library glibc, but the image has none in" in refusal(layers)


def test_another_processor_than_the_image_says() -> None:
    text = refusal(slim_layers(platform=ARM64))
    assert "is not for x86_64" in text
    assert "183" in text


def test_a_python_that_is_a_script() -> None:
    script: Files = {
        "usr/bin/python3.12": b"#!/bin/sh\n" + b"x" * 100 + b"\0003.12.1\0",
        "usr/lib/python3.12/site.py": b"",
    }
    assert "no program but a script" in refusal([script])


def test_a_python_without_its_library() -> None:
    layers: list[Files] = [{name: each for name, each in debian_layers()[0].items() if "site.py" not in name}]
    assert "standard library of /usr/bin/python3.11 is not in /usr/lib/python3.11" in refusal(layers)


def test_links_in_circles() -> None:
    circles: Files = {"usr/bin/python3": Link("python3.12"), "usr/bin/python3.12": Link("python3")}
    assert "has no Python" in refusal([circles])
