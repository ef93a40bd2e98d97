"""Takes the request's headers as well; they are not the last parameter."""


def init():
    pass


def run(request_headers, data):
    return [type(request_headers).__name__, sorted(request_headers.items()), data]
