"""The official Cloudflare plugin, built from its sources, in place of the stand-in."""
