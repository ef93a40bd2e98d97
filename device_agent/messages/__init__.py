"""Messages: in over MQTT, scored, kept on disk until the other side has them.

    Transport --Received--> MessageRoad --> Scorer --> MessageRoad --> BufferThread (durable on return)
                                                                        +--> Transport.acknowledge
                                                                        +--> Delivery --> Transport.publish

The promise: an acknowledged message is on disk, and is delivered at least once, in order of arrival, until its time to
live ends or a full buffer with policy `drop_oldest` discards it, which is counted. A repeated delivery keeps its
message id. There is one road, always through the buffer; being offline is no mode: sending simply waits.

Values: message. Pure: delivery, topics, sas_token, connection_string. Places: sqlite_buffer (disk), the transports
(mqtt, edgehub, azure_sdk), workload (the IoT Edge security daemon).
"""
