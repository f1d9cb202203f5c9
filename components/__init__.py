"""Component resources: they declare what belongs together and compute nothing that a pure function could."""
