"""A Python language host for machines whose Pulumi CLI comes without one."""
