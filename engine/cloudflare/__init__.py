"""A Pulumi resource plugin that stands in for the official Cloudflare plugin.

For machines where the official one cannot be installed. It has the tokens, property names and schema marks of
pulumi-cloudflare 6.23.1's SDK, and it goes by that version's name. It knows three resources (DnsRecord,
ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig) and four functions (getDnsRecords, getZone,
getZeroTrustTunnelCloudflareds, getZeroTrustTunnelCloudflaredToken); anything else is an error that says so. Requests go
through Cloudflare's own Python client.

What of this was compared with the official plugin, and no more: a build of its sources that holds the Terraform provider
5.22.0, over the life of one stack of this program (`tests/fixtures/cloudflare-requests.jsonl`: eight steps from preview to
destroy, of which the methods, paths and bodies are the same), and changing from either to the other on one stack. What
6.23.1 itself sends was not seen.

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
