"""A plan's Dockerfile: placeholders, and values that a Dockerfile must not change."""

import re
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.dockerfile import LAYER_FOLDER, Dockerfile, render_dockerfile
from edgepack.errors import InputError
from edgepack.oci.image import RunConfig
from edgepack.oci.platform import ARM64
from edgepack.plan import FileContent, ImagePlan, LayerPlan

OWN = (files("templates") / "Dockerfile").read_text()
RUN = RunConfig("1000", "/app", ("/usr/bin/python3", "-m", "device_agent"), {"A": "1"}, ("5001/tcp",), ("/data",))


def image(*kinds: str, run: RunConfig = RUN) -> ImagePlan:
    """An image of a base and one layer of each kind."""
    layers = tuple(LayerPlan(kind, f"a {kind}", kind, FileContent(())) for kind in ("base", *kinds))
    return ImagePlan(ARM64, layers, run)


def render(template: str = OWN, plan: ImagePlan | None = None) -> Dockerfile:
    """The Dockerfile of a plan, with the base `ours:1`."""
    return render_dockerfile(template, "Dockerfile", plan or image("packages", "agent", "model", "script"), "ours:1")


def docker_words(line: str, arguments: dict[str, str]) -> list[tuple[str, str]]:
    """The pairs that Docker's parser reads from an ENV or LABEL line: an independent reading of its quoting rules."""
    pairs = []
    for name, value in re.findall(r'("(?:[^"\\]|\\.)*")=("(?:[^"\\]|\\.)*")', line):

        def plain(quoted: str) -> str:
            inner = re.sub(r"(?<!\\)((?:\\\\)*)\$\{(\w+)\}", lambda m: m[1] + "\0" + m[2] + "\0", quoted[1:-1])
            inner = re.sub(r'\\(["\\$])', r"\1", inner)
            return re.sub(r"\0(\w+)\0", lambda m: arguments[m[1]], inner)

        pairs.append((plain(name), plain(value)))
    return pairs


def environment_of(made: Dockerfile) -> dict[str, str]:
    """What the ENV instruction sets."""
    lines = made.text.replace(" \\\n", " ").split("\n")  # as the engine joins and splits them, not as Python would
    (line,) = [line for line in lines if line.startswith("ENV ")]
    return dict(docker_words(line, dict(made.arguments)))


def test_the_own_template() -> None:
    made = render()
    lines = made.text.splitlines()
    assert "FROM ours:1" in lines
    assert [line for line in lines if line.startswith("ADD")] == [
        f'ADD ["{LAYER_FOLDER}/001-packages.tar.gz", "/"]',
        f'ADD ["{LAYER_FOLDER}/002-agent.tar.gz", "/"]',
        f'ADD ["{LAYER_FOLDER}/003-model.tar.gz", "/"]',
        f'ADD ["{LAYER_FOLDER}/004-script.tar.gz", "/"]',
    ]
    assert lines[-6:] == [
        "WORKDIR /app",
        'VOLUME ["/data"]',
        "EXPOSE 5001/tcp",
        "STOPSIGNAL SIGTERM",
        "USER 1000",
        'ENTRYPOINT ["/usr/bin/python3", "-m", "device_agent"]',
    ]
    assert [layer.kind for layer in made.added] == ["packages", "agent", "model", "script"]
    assert not made.copies


@pytest.mark.parametrize(
    "value",
    [
        "$HOME",
        "${PATH}",
        'a "quoted" word',
        "it's",
        "back\\slash",
        "ends in \\",
        "\\$",
        " spaces ",
        "a=b",
        "#",
        "ü€",
        "\t",
        "",
    ],
)
def test_values_come_through_as_they_are(value: str) -> None:
    made = render(plan=image(run=replace(RUN, environment={"X": value})))
    assert environment_of(made) == {"X": value}
    assert not made.arguments


@pytest.mark.parametrize("value", ["two\nlines", "cr\rhere", "l" * 70_000, 'all\n$of "it\\'])
def test_what_a_line_cannot_hold_is_an_argument(value: str) -> None:
    made = render(plan=image(run=replace(RUN, environment={"X": value, "EDGEPACK_VALUE_1": "mine"})))
    assert environment_of(made) == {"X": value, "EDGEPACK_VALUE_1": "mine"}
    assert made.arguments == {"EDGEPACK_VALUE_1_": value}
    assert "ARG EDGEPACK_VALUE_1_\n" in made.text
    assert max(map(len, made.text.splitlines())) < 1000


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\r\n\0=", codec="utf-8"), min_size=1), st.text(), max_size=5
    )
)
def test_any_environment_comes_through(environment: dict[str, str]) -> None:
    environment = {name: value.replace("\0", "") for name, value in environment.items()}
    made = render(plan=image(run=replace(RUN, environment=environment or {"A": "1"})))
    assert environment_of(made) == (environment or {"A": "1"})


def test_a_name_that_cannot_be_written() -> None:
    with pytest.raises(InputError, match=r"ENV 'two\\nlines': a Dockerfile cannot hold this name"):
        render(plan=image(run=replace(RUN, environment={"two\nlines": "x"})))


def test_dollars_and_unrelated_at_signs_are_the_engines() -> None:
    text = 'FROM @{base}\nRUN echo $PATH ${X:-y} $$ me@example.org @@{base} @ "@"\n@{settings}\n'
    made = render(text, image())
    assert 'RUN echo $PATH ${X:-y} $$ me@example.org @{base} @ "@"\n' in made.text


def test_a_file_of_ones_own() -> None:
    text = "FROM --platform=@{platform} python:3.12\nRUN apt-get install -y libgl1\nCOPY certificates /etc/ssl\n"
    made = render(text + "# @{nothing}\n  @{script}\n@{settings}\n", image("script"))
    assert made.text.startswith("FROM --platform=linux/arm64 python:3.12\nRUN apt-get install -y libgl1\n")
    assert "# @{nothing}\nADD [" in made.text
    assert made.copies


def test_all_problems_of_a_template_are_told_with_their_lines() -> None:
    text = "# escape=`\nFROM @{bsae}\nRUN x @{script}\n@{settings}\n@{settings}\n"
    with pytest.raises(InputError) as caught:
        render(text, image("packages", "script"))
    assert caught.value.problems == (
        "Dockerfile, line 1: `escape` must be the backslash, which edgepack's own lines use",
        "Dockerfile, line 2: there is no @{bsae}; known are @{base}, @{platform}, @{packages}, @{agent}, @{models}, "
        "@{script}, @{settings}",
        "Dockerfile, line 3: @{script} is instructions, and has a line of its own",
        "Dockerfile, line 5: @{settings} stands there twice",
        "Dockerfile: lacks @{packages}: the image would be without what they stand for",
    )
