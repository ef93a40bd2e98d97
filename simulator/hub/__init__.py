"""IoT Hub and edgeHub as one MQTT endpoint: who connects decides which of the two serves it.

links.py queues.py client_topics.py     pure: what a network does to bytes, store and forward, what topics say
connection.py client.py broker.py       sans-IO: one client's connection, its session; twins, methods, for both
to_devices.py                           pure: messages from the cloud
edge_hub.py edge_twins.py iot_hub.py    what each of them does with a message
edge_configuration.py                   pure: the routes and times that a deployment gives to edgeHub
front.py                                admits clients and sends them to the one that serves them
upstream.py server.py                   shells: the link from edgeHub to IoT Hub; TLS on asyncio
"""
