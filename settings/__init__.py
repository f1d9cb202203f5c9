"""The stack's configuration: its values, the model that they make, and how they are read."""
