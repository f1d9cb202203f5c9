"""Cloudflare's REST API for the commands beside the program: `adopt`, `doctor`, `environments`.

The program itself reaches Cloudflare through its Pulumi plugin only.
"""
