"""The DNS zone as pure Python: names, the records that agent mail needs, and what stands in their way.

Nothing here knows Pulumi or does any I/O.
"""
