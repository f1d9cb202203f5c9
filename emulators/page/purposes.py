"""What a DNS record is for, by its name and content."""

from __future__ import annotations

_OURS = "managed by pulumi"


def is_ours(comment: str | None) -> bool:
    """Whether a stack of this project has made the record: it marks each with a comment."""
    return (comment or "").lower().startswith(_OURS)


def purpose(kind: str, name: str, content: str) -> str:
    """One sentence; empty for what has nothing to do with mail or the tunnel."""
    text = content.strip('"').lower()
    label = name.lower()
    match kind:
        case "MX" if text.rstrip(".").endswith("parse.mailjet.com"):
            return "Mail for the agents goes to Mailjet's Parse API."
        case "MX":
            return "Mail for this name goes to that host."
        case "TXT" if text.startswith("v=spf1"):
            return "SPF: which hosts may send mail of this domain."
        case "TXT" if label.startswith("_dmarc.") and text.startswith("v=dmarc1"):
            return "DMARC: what receivers do with mail that fails SPF and DKIM."
        case "TXT" if label.startswith("mailjet._domainkey."):
            return "DKIM: the key that Mailjet signs with."
        case "TXT" if "._domainkey." in label:
            return "DKIM: another sender's key."
        case "TXT" if label.startswith("mailjet._"):
            return "Proves to Mailjet whose domain it is."
        case "TXT" if label.startswith("_smtp._tls."):
            return "TLS-RPT: where reports on failed encryption go."
        case "TXT" if label.startswith("_mta-sts."):
            return "MTA-STS: mail is to be encrypted."
        case "CNAME" if text.rstrip(".").endswith(".cfargotunnel.com"):
            return "Leads to the platform through the tunnel."
        case "NS":
            return "Other name servers answer below this name."
    return ""
