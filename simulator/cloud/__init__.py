"""The cloud side of the simulated IoT Hub: who exists, what their twins say, deployments, the service (REST) interface.

    hub_error.py       a refusal, with the status and the code that the hub answers
    twin_limits.py     what the hub takes as tags, desired and reported properties
    twin.py            one twin: tags, desired and reported properties, versions, metadata
    identity.py        values: an identity, a connection, the changes that watchers hear of
    registry.py        identities of devices and modules with their twins; tells watchers of changes
    tokens.py          checks the signature and audience of shared access signature tokens

    query_text.py condition.py query.py      the query language: words, conditions, SELECT
    documents.py       identities and twins as services see them
    content.py         what a deployment or a layer of one puts on a device
    configurations.py  automatic deployments: conditions, priorities, layers;  metrics.py: how far they are

    service_request.py a call and its answer as values, and the hub that is called
    service_access.py  who may do what;  throttle.py: how often
    service_identities.py service_twins.py service_configurations.py      what each call does
    service_rules.py   the table of calls
    method_invoker.py  the interface to whoever knows the connections
    service_api.py     the shell: HTTPS

All but the last are pure: the time, keys and ids come from outside.
"""
