"""What can be wrong with the records of a mail domain."""


class RecordError(Exception):
    """A record that cannot be published as configured."""

    def __init__(self, key: str, found: str, expected: str, remedy: str) -> None:
        self.key = key
        super().__init__(f"{key} has {found}; expected {expected}; {remedy}")
