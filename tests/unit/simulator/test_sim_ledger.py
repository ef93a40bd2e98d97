"""The ledger's verdict on every way that a message can take."""

import tracemalloc
from collections.abc import Sequence

import pytest

from simulator.ledger import Ledger, percentile
from simulator.message import HubMessage

UP = "$upstream"


class Book:
    """A ledger, told by short words; time stands until it is moved."""

    def __init__(self, reaching: Sequence[str] = ("scorer", "filter")) -> None:
        self.now_s = 100.0
        self.ledger = Ledger(lambda: self.now_s, lambda module: module in reaching)

    def accept(self, sender: str, *endpoints: str, mid: str = "", cid: str = "", output: str = "") -> HubMessage:
        """A sender's message is taken for these endpoints."""
        device, _, module = sender.partition("/")
        pairs = [("$.mid", mid), ("$.cid", cid), ("$.on", output)]
        message = HubMessage(device, module, tuple(pair for pair in pairs if pair[1]), b"")
        return message._replace(trace=self.ledger.accepted(message, endpoints))

    def fate(self) -> dict[str, int]:
        """Fates that any message has."""
        return {name: count for name, count in self.ledger.fates.items() if count}


def test_delivered_directly() -> None:
    book = Book()
    book.ledger.arrived(book.accept("d", UP, mid="a"))
    assert book.fate() == {"delivered": 1}


def test_delivered_through_a_module_and_through_two() -> None:
    book = Book()
    first = book.accept("d", "filter/in", mid="a")
    book.ledger.taken(first, "filter")
    assert book.fate() == {"outstanding": 1}
    second = book.accept("e/filter", "scorer/in", mid="b", cid="a", output="o")
    assert second.trace == "a"
    book.ledger.taken(second, "scorer")
    third = book.accept("e/scorer", UP, mid="c", cid="b", output="o")
    assert book.fate() == {"outstanding": 1}
    book.ledger.arrived(third)
    assert book.fate() == {"delivered": 1}
    assert len(book.ledger.entries) == 1


def test_what_a_module_took_and_nobody_saw_again_is_lost_in_the_end() -> None:
    book = Book()
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    assert book.ledger.figures(is_over=False).outstanding == 1
    figures = book.ledger.figures(is_over=True)
    assert (figures.sent, figures.delivered, figures.lost, figures.outstanding) == (1, 0, 1, 0)
    place = {"taken_by": ["scorer"], "waiting_copies": 0, "unrouted": 0}
    assert book.ledger.outstanding() == [{"id": "a", "device": "d", **place}]


def test_what_waits_at_the_end_is_lost() -> None:
    book = Book()
    book.accept("d", UP, mid="a")
    assert book.ledger.figures(is_over=True).lost == 1
    assert book.ledger.outstanding()[0]["waiting_copies"] == 1


def test_consumed_where_nothing_of_the_module_can_reach_the_cloud() -> None:
    book = Book(reaching=())
    book.ledger.taken(book.accept("d", "alarm/in", mid="a"), "alarm")
    assert book.fate() == {"consumed": 1}


def test_new_routes_change_what_is_consumed() -> None:
    reaching: list[str] = []
    book = Book(reaching)
    book.ledger.taken(book.accept("d", "alarm/in", mid="a"), "alarm")
    reaching.append("alarm")
    book.ledger.judge_again()
    assert book.fate() == {"outstanding": 1}


def test_expired_only_when_no_copy_is_left_and_nobody_owes_an_answer() -> None:
    book = Book(reaching=("scorer",))
    message = book.accept("d", UP, "scorer/in", "alarm/in", mid="a")
    book.ledger.expired(message)
    book.ledger.taken(message, "alarm")
    assert book.fate() == {"outstanding": 1}
    book.ledger.taken(message, "scorer")
    assert book.ledger.figures(is_over=True).lost == 1
    answer = book.accept("e/scorer", UP, mid="b", cid="a")
    book.ledger.expired(answer)
    assert book.fate() == {"expired": 1}
    book.ledger.arrived(book.accept("e/scorer", UP, mid="b", cid="a"))
    assert book.fate() == {"delivered": 1}


def test_an_answer_that_comes_before_the_acknowledgement_counts() -> None:
    book = Book()
    message = book.accept("d", "scorer/in", mid="a")
    book.ledger.expired(book.accept("e/scorer", UP, mid="b", cid="a"))
    assert book.fate() == {"outstanding": 1}
    book.ledger.taken(message, "scorer")
    assert book.fate() == {"expired": 1}


def test_unrouted() -> None:
    book = Book(reaching=())
    book.accept("d", mid="a")
    assert book.fate() == {"unrouted": 1}
    book.ledger.taken(book.accept("d", "alarm/in", mid="b"), "alarm")
    book.accept("e/alarm", mid="c", cid="b", output="log")
    assert book.fate() == {"unrouted": 2}


def test_an_output_without_a_route_does_not_excuse_a_module_that_can_reach_the_cloud() -> None:
    book = Book()
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    book.accept("e/scorer", mid="b", cid="a", output="debug")
    assert book.fate() == {"outstanding": 1}
    assert book.ledger.outstanding()[0]["unrouted"] == 1
    book.ledger.expired(book.accept("e/scorer", UP, mid="c", cid="a", output="o"))
    assert book.fate() == {"expired": 1}


def test_an_output_to_a_module_that_sends_nothing_upstream_does_not_excuse_either() -> None:
    book = Book(reaching=("scorer", "filter"))
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    book.ledger.taken(book.accept("e/scorer", "logger/in", mid="b", cid="a", output="debug"), "logger")
    assert book.fate() == {"outstanding": 1}
    book.ledger.taken(book.accept("e/scorer", "filter/in", mid="c", cid="a", output="o"), "filter")
    assert book.ledger.outstanding()[0]["taken_by"] == ["filter", "logger", "scorer"]
    book.ledger.expired(book.accept("e/filter", UP, mid="d", cid="c"))
    assert book.fate() == {"expired": 1}


def test_two_messages_for_one_input_on_one_output_are_no_duplicates() -> None:
    book = Book()
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    first, second = (book.accept("e/scorer", UP, mid=mid, cid="a", output="o") for mid in "bc")
    for message in (first, second, second, first):
        book.ledger.arrived(message)
    assert (book.ledger.duplicated, book.fate()) == (2, {"delivered": 1})
    without_ids = [book.accept("e/scorer", UP, cid="a", output="p") for _ in range(2)]
    for message in without_ids:
        book.ledger.arrived(message)
    assert book.ledger.duplicated == 3


def test_a_repeated_arrival_is_a_duplicate_and_one_of_another_output_is_not() -> None:
    book = Book()
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    result = book.accept("e/scorer", UP, mid="b", cid="a", output="o")
    for _ in range(3):
        book.ledger.arrived(result)
    book.ledger.arrived(book.accept("e/scorer", UP, mid="c", cid="a", output="other"))
    assert (book.ledger.duplicated, book.ledger.misordered) == (2, 0)
    assert book.fate() == {"delivered": 1}


def test_what_a_device_hands_over_again_is_one_message() -> None:
    book = Book()
    for _ in range(2):
        book.ledger.arrived(book.accept("d", UP, mid="a"))
    assert (book.ledger.resent, book.ledger.duplicated, book.fate()) == (1, 1, {"delivered": 1})


def test_equal_ids_of_two_devices_are_two_messages() -> None:
    book = Book()
    for device in ("d", "e"):
        book.ledger.arrived(book.accept(device, UP, mid="1"))
    assert (book.ledger.duplicated, book.fate()) == (0, {"delivered": 2})


@pytest.mark.parametrize("arrives_at_once", [True, False])
def test_equal_ids_of_several_devices_through_a_module(arrives_at_once: bool) -> None:
    book = Book()
    book.accept("c", UP, mid="1")
    for device in ("d", "e", "d"):
        book.ledger.taken(book.accept(device, "scorer/in", mid="1"), "scorer")
    assert (book.ledger.resent, len(book.ledger.entries)) == (1, 3)
    answers = []
    for mid in "xy":
        answers.append(book.accept("g/scorer", UP, mid=mid, cid="1", output="o"))
        if arrives_at_once:
            book.ledger.arrived(answers[-1])
    for answer in () if arrives_at_once else answers:
        book.ledger.arrived(answer)
    assert [answer.trace for answer in answers] == ["1 of d", "1 of e"]
    assert (book.ledger.duplicated, book.fate()) == (0, {"delivered": 2, "outstanding": 1})
    assert book.accept("g/scorer", UP, mid="z", cid="1", output="o").trace == "1"


def test_names_that_senders_chose_do_not_mix_with_the_ledger_s_own() -> None:
    book = Book()
    for sender, mid in (("a", "#3"), ("b", "1"), ("c", ""), ("d", "1"), ("e", "1 of f"), ("f", "1")):
        book.accept(sender, UP, mid=mid)
    assert list(book.ledger.entries) == ["#3", "1", "#3'", "1 of d", "1 of f", "1 of f'"]


def test_what_is_delivered_takes_little_memory() -> None:
    book = Book()
    for number in range(1000):
        book.ledger.taken(book.accept("d", "scorer/in", mid=f"m{number}"), "scorer")
        book.ledger.arrived(book.accept("e/scorer", UP, mid=f"r{number}", cid=f"m{number}", output="o"))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1000, 5000):
            book.ledger.taken(book.accept("d", "scorer/in", mid=f"m{number}"), "scorer")
            book.ledger.arrived(book.accept("e/scorer", UP, mid=f"r{number}", cid=f"m{number}", output="o"))
        taken_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken_bytes / 4000 < 400


def test_messages_without_ids_are_told_apart() -> None:
    book = Book()
    messages = [book.accept("d", UP) for _ in range(3)]
    book.ledger.arrived(messages[1])
    assert book.fate() == {"delivered": 1, "outstanding": 2}


def test_misordered_is_counted_by_device_and_stream() -> None:
    book = Book()
    order = [("d", "1"), ("d", "2"), ("e", "3"), ("d", "4")]
    messages = [book.accept(device, UP, mid=mid) for device, mid in order]
    for place in (3, 0, 2, 1):
        book.ledger.arrived(messages[place])
    assert book.ledger.misordered == 2


def test_latency_is_from_creation_where_that_is_known() -> None:
    book = Book()
    book.ledger.created("a", 90.0)
    first, second, third = (book.accept("d", UP, mid=mid) for mid in "abc")
    book.ledger.created("b", 95.0)
    book.now_s = 101.0
    for message in (first, second, third, first):
        book.ledger.arrived(message)
    assert list(book.ledger.latencies_ms) == [11_000.0, 6_000.0, 1_000.0]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7.0], 0.99, 7.0), ([3, 1, 2], 0.5, 2), (list(range(1, 101)), 0.99, 99), ([1, 2], 1.0, 2)],
)
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_what_is_accepted_after_the_books_are_closed_cannot_be_lost() -> None:
    book = Book()
    first, second = (book.accept("d", "scorer/in", mid=mid) for mid in "ab")
    book.ledger.close_books()
    third = book.accept("d", "scorer/in", mid="c")
    assert book.ledger.owed == 2
    for message in (first, second, third):
        book.ledger.taken(message, "scorer")
    book.ledger.arrived(book.accept("e/scorer", UP, mid="x", cid="a", output="o"))
    assert book.ledger.owed == 1
    figures = book.ledger.figures(is_over=True)
    assert (figures.sent, figures.delivered, figures.lost, figures.outstanding) == (3, 1, 1, 1)
    assert [each["id"] for each in book.ledger.outstanding()] == ["b"]
    book.ledger.arrived(book.accept("e/scorer", UP, mid="y", cid="b", output="o"))
    book.ledger.arrived(book.accept("e/scorer", UP, mid="z", cid="c", output="o"))
    assert (book.ledger.owed, book.ledger.figures(is_over=True).outstanding) == (0, 0)


def test_an_output_that_a_condition_keeps_from_the_cloud_is_an_answer() -> None:
    book = Book()
    book.ledger.taken(book.accept("d", "scorer/in", mid="a"), "scorer")
    output = HubMessage("e", "scorer", (("$.cid", "a"), ("$.on", "o")), b"")
    book.ledger.accepted(output, ())
    assert book.fate() == {"outstanding": 1}
    book.ledger.accepted(output, (), is_filtered=True)
    assert book.fate() == {"unrouted": 1}
