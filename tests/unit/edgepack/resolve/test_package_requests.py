"""What environments ask for, put together and taken apart."""

from edgepack.resolve.package_requests import PackageRequests, joined, specifier_of, without

ONE = PackageRequests(
    ("Numpy>=1.20", "mlflow==2.9.1"),
    options=("--index-url", "https://one.example.com/"),
    system=("libgomp1",),
    variables=(("A", "1"), ("B", "1")),
)
OTHER = PackageRequests(
    ("numpy<2", "pandas"),
    python="3.11",
    system=("ffmpeg", "libgomp1"),
    constraints=("scipy<2",),
    variables=(("B", "2"), ("C", "2")),
)


def test_two_environments_together() -> None:
    both = joined(ONE, OTHER)
    assert set(both.requirements) == {"Numpy<2,>=1.20", "mlflow==2.9.1", "pandas"}
    assert both.options == ONE.options
    assert (both.python, both.system, both.constraints) == ("3.11", ("ffmpeg", "libgomp1"), ("scipy<2",))
    assert both.variables == (("A", "1"), ("B", "1"), ("C", "2"))  # the first one's word counts
    assert set(joined(PackageRequests(), OTHER).requirements) == set(OTHER.requirements)


def test_packages_by_their_canonical_names() -> None:
    assert without(ONE, ["numpy", "absent"]).requirements == ("mlflow==2.9.1",)
    assert (specifier_of(ONE, "numpy"), specifier_of(OTHER, "pandas"), specifier_of(ONE, "pandas")) == (
        ">=1.20",
        "",
        None,
    )
