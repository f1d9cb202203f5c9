"""What people read: the digest of a preview and the summary of a stack, from the engine's own JSON."""
