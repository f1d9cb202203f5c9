"""`make demo`: two agents of the embedded default write to each other, through every part of the system."""
