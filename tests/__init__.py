"""The tests; only the fakes are imported from here."""
