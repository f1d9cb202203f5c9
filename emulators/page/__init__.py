"""The page of the embedded default: mails, agents, DNS, requests and faults, as a person wants to see them."""
