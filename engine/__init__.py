"""How a machine without an installed Pulumi gets the real engine, its Python language host and its plugins."""
