"""MQTT: paho-mqtt on the event loop, and the transport for any broker."""
