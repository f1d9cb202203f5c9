"""What people run beside the program: one folder or module a command."""
