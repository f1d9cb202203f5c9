"""Names to mail addresses: population files, the naming rule, buckets. Pure Python, no Pulumi.

`python -m commands.agents --help` is the command line.
"""
