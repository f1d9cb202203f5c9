"""Mailjet as Pulumi resources.

`client.py` and `api.py` talk HTTP and import no Pulumi; `contract.py` says when the engine calls a
provider; every other public module holds one resource as `XArgs`, `XProvider`, `X(Resource)`.

The module and provider class names below are written into every stack's state and must not change:
`sender_domain.SenderDomainProvider`, `sender.SenderProvider`, `domain_verification.DomainVerificationProvider`,
`inbound_routes.InboundRoutesProvider`, `address_book.AddressBookProvider`, `event_callback.EventCallbackProvider`,
`footprint.FootprintProvider`.
"""
