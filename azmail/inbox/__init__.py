"""The inbox: mail that is stored before Mailjet is answered, handed to hooks by workers, and read by its agent.

`azmail inbox --help`; docs/inbox.md. Needs `pip install 'azmail[inbox]'`.
"""
