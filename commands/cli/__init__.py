"""The command line `./mail`: names, options and help of every command; what they do stands in `commands/`.

Nothing but Typer is imported before a command is chosen, so that help and completion answer at once.
"""
