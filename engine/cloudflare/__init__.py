"""A Pulumi resource plugin that stands in for the official Cloudflare plugin.

For machines where the official one cannot be installed. It answers to the same tokens and property names
(pulumi-cloudflare 6.23.1) and sends the same API requests, through Cloudflare's own Python client. It knows three
resources (DnsRecord, ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig) and four functions (getDnsRecords,
getZone, getZeroTrustTunnelCloudflareds, getZeroTrustTunnelCloudflaredToken); anything else is an error that says so. A
stack can change between this plugin and the official one: state carries the same schema marks.

Where it differs on purpose:

- a loopback API that refuses connections fails after three tries, not after eleven and some minutes;
- what the official plugin finds only while creating (a proxied record whose ttl is not 1, a tunnel configuration
  without `config`) already fails the preview;
- an answer without `result.id` fails a create instead of storing a broken id;
- a request that is not answered within a minute counts as a transport error;
- a PUT of a record that has `data` leaves the computed `content` out;
- `includeShadowMetadata` and `filter.types` are refused, and User-Agent names this plugin;
- the warning that a tunnel's configuration is not removed by a delete comes once, in previews and deletes.
"""

VERSION = "6.23.1"
