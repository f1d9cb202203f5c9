"""`./mail adopt STACK`: foreign DNS records, and our own that the state has lost, come into the stack's state.

Nothing in the zone is deleted or changed by it without having been asked for (`--discard`, `--restore`, a lost comment):
what the next `up` changes or deletes stands in the next preview first.

`plan.py` decides from facts alone; `zone_api.py` and `stack_file.py` read and write them.
"""
