"""Names to mail addresses: population files, the naming rule, buckets. Pure Python, no Pulumi.

`./mail agents --help` is the command line.
"""
