"""`python -m commands.environments`: a new environment of agent mail, checked before anything is written."""
