"""MQTT topic filters: whether they are valid, and which topics they match. Pure.

Source: MQTT 5.0, sections 4.7 and 4.8.2.
"""

from device_agent.messages.mqtt.publish_properties import text_problem

_SHARED = "$share/"


def filter_problem(text: str) -> str:
    """Why this is no topic filter; "" if it is one. `$share/GROUP/FILTER` is a shared subscription."""
    if problem := text_problem(text):
        return problem
    if is_shared(text):
        group, _, text = text.removeprefix(_SHARED).partition("/")
        if not text or not group or "+" in group or "#" in group:
            return "is no shared subscription, which looks like $share/GROUP/FILTER"
    if not text:
        return "is empty"
    levels = text.split("/")
    if "#" in text and (levels[-1] != "#" or text.count("#") > 1):
        return "has a # that is not its last level"
    if any("+" in level and level != "+" for level in levels):
        return "has a + that is not a whole level"
    return ""


def is_shared(topic_filter: str) -> bool:
    """Whether this is a shared subscription: each message goes to one of the group."""
    return topic_filter.startswith(_SHARED)


def topic_problem(text: str) -> str:
    """Why nothing can be published under this topic; "" if it can."""
    if not text:
        return "is empty"
    if "+" in text or "#" in text:
        return "has + or # in it"
    return text_problem(text)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message with this topic belongs to a subscription to this filter, which may be a shared one."""
    if is_shared(topic_filter):
        topic_filter = topic_filter.removeprefix(_SHARED).partition("/")[2]
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
