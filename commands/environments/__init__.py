"""`./mail env`: a new environment of agent mail, checked before anything is written."""
