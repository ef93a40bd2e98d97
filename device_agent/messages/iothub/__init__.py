"""IoT Edge and IoT Hub: identities, tokens, topics, twins; the transports edgehub and azure-sdk."""
