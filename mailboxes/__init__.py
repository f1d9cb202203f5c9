"""Names to mail addresses: population files, the naming rule, buckets. Pure Python, no Pulumi.

`python -m mailboxes --help` is the command line.
"""
