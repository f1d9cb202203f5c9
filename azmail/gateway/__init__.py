"""The submission gateway: an agent sends with a credential of its own, and as nobody else.

`credentials` derives and checks passwords, `identity` judges a message's header, `submission` and `sendapi` are the two
doors (SMTP and Mailjet's Send API v3.1), `ledger` keeps limits, revocations and results, `upstream` hands mails on.
"""
