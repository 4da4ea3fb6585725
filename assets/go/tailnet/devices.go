package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	tailscale "tailscale.com/client/tailscale/v2"
)

// named is the device of that host name.
func named(hostname string) *tailscale.Device {
	all, err := scoped().Devices().ListWithAllFields(ctx)
	must(err)
	at := slices.IndexFunc(all, func(device tailscale.Device) bool { return device.Hostname == hostname })
	expect(at >= 0, "%s is listed", hostname)
	return &all[at]
}

// devices: listed, looked at by either id, changed in every way, deleted.
func devices() {
	foreign("judged")
	c, device := owner(), named("judged")
	expect(device.ConnectedToControl && device.LastSeen == nil, "who is connected was not seen last: %v", device.LastSeen)
	expect(device.Authorized && len(device.Addresses) == 2 && strings.HasPrefix(device.Addresses[0], "100."),
		"a device has its addresses: %+v", device)
	expect(len(device.Tags) == 0 && device.User != "" && !device.KeyExpiryDisabled, "a person's device: %+v", device)
	expect(strings.HasPrefix(device.Name, "judged.") && device.NodeKey != "" && !device.Created.IsZero(), "%+v", device)
	for _, id := range []string{device.NodeID, device.ID} {
		shown, err := c.Devices().Get(ctx, id)
		must(err)
		expect(shown.NodeID == device.NodeID, "it is found by either id")
	}
	changed := func() *tailscale.Device {
		shown, err := c.Devices().GetWithAllFields(ctx, device.NodeID)
		must(err)
		return shown
	}
	must(c.Devices().SetTags(ctx, device.NodeID, []string{tag}))
	now := changed()
	expect(slices.Equal(now.Tags, []string{tag}) && now.KeyExpiryDisabled, "tags are taken, and end the key's expiry: %+v", now)
	found, err := c.Devices().List(ctx, tailscale.WithFilter("tags", []string{tag}))
	must(err)
	expect(len(found) == 1 && found[0].NodeID == device.NodeID, "a list by tag: %+v", found)
	must(c.Devices().SetAuthorized(ctx, device.NodeID, false))
	expect(!changed().Authorized, "approval is taken away")
	must(c.Devices().SetAuthorized(ctx, device.NodeID, true))
	expect(changed().Authorized, "and given")
	must(c.Devices().SetKey(ctx, device.NodeID, tailscale.DeviceKey{KeyExpiryDisabled: false}))
	expect(!changed().KeyExpiryDisabled, "the key expires")
	must(c.Devices().SetKey(ctx, device.NodeID, tailscale.DeviceKey{KeyExpiryDisabled: true}))
	expect(changed().KeyExpiryDisabled, "and does not")
	must(c.Devices().SetName(ctx, device.NodeID, "renamed"))
	expect(strings.HasPrefix(changed().Name, "renamed.") && changed().Hostname == "judged", "it has another name: %+v", changed())
	must(c.Devices().SetIPv4Address(ctx, device.NodeID, "100.99.98.97"))
	expect(changed().Addresses[0] == "100.99.98.97", "it has another address: %+v", changed())
	must(c.Devices().SetSubnetRoutes(ctx, device.NodeID, []string{"10.9.0.0/16"}))
	routes, err := c.Devices().SubnetRoutes(ctx, device.NodeID)
	must(err)
	expect(slices.Equal(routes.Enabled, []string{"10.9.0.0/16"}), "routes are kept: %+v", routes)
	deviceRefusals(device)
	must(scoped().Devices().Delete(ctx, device.NodeID))
	_, err = c.Devices().Get(ctx, device.ID)
	expect(tailscale.IsNotFound(err), "it is gone: %v", err)
	expect(tailscale.IsNotFound(c.Devices().Delete(ctx, device.NodeID)), "nor can it be deleted again")
}

func deviceRefusals(device *tailscale.Device) {
	refused(owner().Devices().SetTags(ctx, device.NodeID, []string{"tag:nobody-owns"}), http.StatusBadRequest)
	refused(owner().Devices().SetName(ctx, device.NodeID, "operator"), http.StatusBadRequest)
	refused(owner().Devices().SetIPv4Address(ctx, device.NodeID, "192.0.2.1"), http.StatusBadRequest)
	_, err := scoped().Devices().SubnetRoutes(ctx, device.NodeID)
	refused(err, http.StatusForbidden)
	_, err = owner().Devices().Get(ctx, "nNONE00CNTRL")
	expect(tailscale.IsNotFound(err), "what never was is not found: %v", err)
}

// sweep lists what apply made, and deletes it.
func sweep(tag string) {
	c := scoped()
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
		must(c.Devices().Delete(ctx, device.NodeID))
		_, err := c.Devices().Get(ctx, device.NodeID)
		expect(tailscale.IsNotFound(err), "%s is gone: %v", device.Hostname, err)
		fmt.Println("deleted device", device.Hostname)
	}
	left, err := c.Devices().List(ctx)
	must(err)
	expect(len(left) == len(all)-len(ours), "the others stay: %d of %d", len(left), len(all))
}
