"""Mailjet's REST API v3: one pooled session, typed objects and typed errors."""
