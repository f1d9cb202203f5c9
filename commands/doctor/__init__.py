"""`./mail doctor STACK`: looks at a live stack from outside and says what is wrong and how to mend it.

It reads and never writes, `--round-trip` aside, which sends one mail.
"""
