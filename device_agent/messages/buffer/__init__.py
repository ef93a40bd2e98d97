"""The buffer: messages on disk. interface says what it promises; buffer_thread is how the event loop reaches it."""
