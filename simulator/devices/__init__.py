"""Devices that send to a hub: what they measure, how they sign in and send, and fleets of them in one process.

A device is three things: a source (sensor, replay, generator) that says what it sends, a schedule that says when, and
an MQTT session that sees to it that what was promised arrives. All three know no socket and no clock; `device_client`
puts them on asyncio's loop, `fleet` many of them, and the Locust file on blocking sockets.
"""
