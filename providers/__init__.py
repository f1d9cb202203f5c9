"""Dynamic resource providers, one package per remote service."""
