"""Mailjet as Pulumi resources.

HTTP is in clients/mailjet, which imports no Pulumi; `base_provider.py` says when the engine calls a
provider; every other public module holds one resource as `XArgs`, `XProvider`, `X(Resource)`.

The module and provider class names below are written into every stack's state and must not change:
`sender_domain.SenderDomainProvider`, `sender.SenderProvider`, `domain_verification.DomainVerificationProvider`,
`inbound_routes.InboundRoutesProvider`, `address_book.AddressBookProvider`, `event_callback.EventCallbackProvider`,
`footprint.FootprintProvider`.
"""
