// The official Cloudflare plugin as far as this project's program uses it: Cloudflare's own provider for Terraform behind
// Pulumi's own bridge, with the three resources that the program declares. `python -m tests.official` builds and runs it;
// docs/decisions/097-the-official-sources-beside-the-stand-in.md says what it is and is not.
//
// The module's path lies below that of Cloudflare's, or Go would not let it import what is `internal` there.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	cloudflare "github.com/cloudflare/terraform-provider-cloudflare/internal"
	"github.com/cloudflare/terraform-provider-cloudflare/internal/services/dns_record"
	"github.com/cloudflare/terraform-provider-cloudflare/internal/services/zero_trust_tunnel_cloudflared"
	"github.com/cloudflare/terraform-provider-cloudflare/internal/services/zero_trust_tunnel_cloudflared_config"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// The version whose SDK asks for this plugin, and the one that go.mod pins as a commit.
const (
	version          = "6.23.1"
	terraformVersion = "5.24.0"
)

// few is Cloudflare's provider with some of its resources: the schema of all takes minutes of CPU.
type few struct{ provider.Provider }

func (few) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		dns_record.NewResource,
		zero_trust_tunnel_cloudflared.NewResource,
		zero_trust_tunnel_cloudflared_config.NewResource,
	}
}

func (few) DataSources(context.Context) []func() datasource.DataSource { return nil }

func token(name string) tokens.Type {
	return tokens.Type("cloudflare:index/" + name)
}

func main() {
	ctx := context.Background()
	info := tfbridge.ProviderInfo{
		P:            pf.ShimProvider(few{cloudflare.NewProvider(terraformVersion)()}),
		Name:         "cloudflare",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Resources: map[string]*tfbridge.ResourceInfo{
			"cloudflare_dns_record": {
				Tok:     token("dnsRecord:DnsRecord"),
				Aliases: []tfbridge.AliasInfo{{Type: tfbridge.Ref("cloudflare:index/record:Record")}},
			},
			"cloudflare_zero_trust_tunnel_cloudflared": {
				Tok:     token("zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"),
				Aliases: []tfbridge.AliasInfo{{Type: tfbridge.Ref("cloudflare:index/tunnel:Tunnel")}},
			},
			"cloudflare_zero_trust_tunnel_cloudflared_config": {
				Tok:     token("zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig"),
				Aliases: []tfbridge.AliasInfo{{Type: tfbridge.Ref("cloudflare:index/tunnelConfig:TunnelConfig")}},
			},
		},
	}
	// The released plugin brings its schema along; this one makes it when it starts.
	generated, err := tfgen.GenerateSchema(ctx, tfgen.GenerateSchemaOptions{
		ProviderInfo:    info,
		DiagnosticsSink: diag.DefaultSink(io.Discard, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	pf.Main(ctx, "cloudflare", info, generated.ProviderMetadata)
}
