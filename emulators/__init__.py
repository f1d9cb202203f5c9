"""Loopback stand-ins for Mailjet and Cloudflare: what the embedded default and the tests talk to."""
