// Tailscale's own client on the emulated tailnet: with a cluster's name it lists what apply made, tries every call that
// bouquet makes and its refusals, and deletes the cluster's devices.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	tailscale "tailscale.com/client/tailscale/v2"
)

var ctx = context.Background()

func main() {
	if len(os.Args) != 2 {
		fail("usage: tailnet CLUSTER")
	}
	tag := "tag:bouquet-" + os.Args[1]
	scoped := client(&tailscale.OAuth{
		ClientID:     os.Getenv("TAILSCALE_OAUTH_CLIENT_ID"),
		ClientSecret: os.Getenv("TAILSCALE_OAUTH_CLIENT_SECRET"),
	})
	keys(scoped, tag)
	policy(scoped, tag)
	devices(scoped, tag)
	fmt.Println("Tailscale's client is content")
}

func client(auth tailscale.Auth) *tailscale.Client {
	base, err := url.Parse(os.Getenv("TAILSCALE_BASE_URL"))
	must(err)
	return &tailscale.Client{BaseURL: base, Auth: auth}
}

func keys(c *tailscale.Client, tag string) {
	before, err := c.Keys().List(ctx, true)
	must(err)
	request := tailscale.CreateKeyRequest{ExpirySeconds: 3600, Description: "made by the judge"}
	request.Capabilities.Devices.Create.Preauthorized = true
	request.Capabilities.Devices.Create.Tags = []string{tag}
	made, err := c.Keys().CreateAuthKey(ctx, request)
	must(err)
	expect(strings.HasPrefix(made.Key, "tskey-auth-"+made.ID+"-"), "a new key shows its secret: %q", made.Key)
	shown, err := c.Keys().Get(ctx, made.ID)
	must(err)
	expect(shown.Key == "" && shown.Description == "made by the judge", "a key shows its secret once: %+v", shown)
	expect(slices.Equal(shown.Capabilities.Devices.Create.Tags, []string{tag}), "a key keeps its tags: %+v", shown)
	expect(shown.Expires.Sub(shown.Created).Hours() == 1, "a key lives as long as was asked: %+v", shown)
	after, err := c.Keys().List(ctx, true)
	must(err)
	expect(len(after) == len(before)+1, "the list has the key: %d, then %d", len(before), len(after))
	must(c.Keys().Delete(ctx, made.ID))
	if gone, err := c.Keys().Get(ctx, made.ID); err == nil {
		expect(gone.Invalid, "a deleted key is invalid: %+v", gone)
	} else {
		expect(tailscale.IsNotFound(err), "a deleted key is not found: %v", err)
	}
	request.Capabilities.Devices.Create.Tags = []string{"tag:nobody-owns"}
	_, err = c.Keys().CreateAuthKey(ctx, request)
	refused(err, http.StatusBadRequest)
}

func policy(c *tailscale.Client, tag string) {
	parsed, err := c.PolicyFile().Get(ctx)
	must(err)
	expect(parsed.TagOwners[tag] != nil && parsed.ETag != "", "the policy has an owner of %s: %+v", tag, parsed)
	raw, err := c.PolicyFile().Raw(ctx)
	must(err)
	expect(strings.Contains(raw.HuJSON, "// "), "the raw policy keeps its comments: %s", raw.HuJSON)
	expect(raw.ETag == parsed.ETag, "both are one document: %s, %s", raw.ETag, parsed.ETag)
	refused(c.PolicyFile().Set(ctx, raw.HuJSON, raw.ETag), http.StatusForbidden)

	owner := client(nil)
	owner.APIKey = os.Getenv("TAILSCALE_API_KEY_OTHER")
	must(owner.PolicyFile().Validate(ctx, raw.HuJSON))
	expect(owner.PolicyFile().Validate(ctx, `{"grants": [{"src": ["tag:nobody"], "dst": ["*"], "ip": ["*"]}]}`) != nil,
		"a policy with an unknown tag is not valid")
	refused(owner.PolicyFile().Set(ctx, raw.HuJSON, "another"), http.StatusPreconditionFailed)
	must(owner.PolicyFile().Set(ctx, raw.HuJSON, raw.ETag))
}

func devices(c *tailscale.Client, tag string) {
	all, err := c.Devices().ListWithAllFields(ctx)
	must(err)
	ours := slices.DeleteFunc(slices.Clone(all), func(device tailscale.Device) bool {
		return !slices.Contains(device.Tags, tag)
	})
	expect(len(ours) > 0 && len(ours) < len(all), "%d of %d devices bear %s", len(ours), len(all), tag)
	for _, device := range ours {
		expect(device.ConnectedToControl && device.LastSeen == nil, "%s is connected", device.Hostname)
		expect(device.Authorized && len(device.Addresses) == 2, "%s has its addresses: %v", device.Hostname, device.Addresses)
		expect(device.KeyExpiryDisabled, "the key of a tagged device does not expire: %s", device.Hostname)
		for _, id := range []string{device.NodeID, device.ID} {
			shown, err := c.Devices().Get(ctx, id)
			must(err)
			expect(shown.NodeID == device.NodeID, "%s is found by either id", device.Hostname)
		}
		_, err := c.Devices().SubnetRoutes(ctx, device.NodeID)
		refused(err, http.StatusForbidden)
		must(c.Devices().Delete(ctx, device.NodeID))
		_, err = c.Devices().Get(ctx, device.NodeID)
		expect(tailscale.IsNotFound(err), "%s is gone: %v", device.Hostname, err)
		fmt.Println("deleted device", device.Hostname)
	}
	left, err := c.Devices().List(ctx)
	must(err)
	expect(len(left) == len(all)-len(ours), "the others stay: %d of %d", len(left), len(all))
}

func refused(err error, status int) {
	apiError, is := err.(tailscale.APIError)
	expect(is && apiError.Status == status && apiError.Message != "", "want status %d, have %v", status, err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(holds bool, format string, args ...any) {
	if !holds {
		fail(fmt.Sprintf(format, args...))
	}
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
