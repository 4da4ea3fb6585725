package main

import (
	"net/http"
	"slices"
	"strings"
	"time"

	tailscale "tailscale.com/client/tailscale/v2"
)

// order is what bouquet asks for: a key for one machine, for an hour.
func order() tailscale.CreateKeyRequest {
	request := tailscale.CreateKeyRequest{ExpirySeconds: 3600, Description: "made by the judge"}
	request.Capabilities.Devices.Create.Preauthorized = true
	request.Capabilities.Devices.Create.Tags = []string{tag}
	return request
}

func listed(id string) bool {
	all, err := scoped().Keys().List(ctx, true)
	must(err)
	return slices.ContainsFunc(all, func(key tailscale.Key) bool { return key.ID == id })
}

// keys: made with tags, shown once, listed, deleted.
func keys() {
	c := scoped()
	made, err := c.Keys().CreateAuthKey(ctx, order())
	must(err)
	expect(strings.HasPrefix(made.Key, "tskey-auth-"+made.ID+"-"), "a new key shows its secret: %q", made.Key)
	shown, err := c.Keys().Get(ctx, made.ID)
	must(err)
	create := shown.Capabilities.Devices.Create
	expect(shown.Key == "", "a key shows its secret once")
	expect(shown.Description == "made by the judge" && !shown.Invalid, "a key is as it was ordered: %+v", shown)
	expect(create.Preauthorized && !create.Reusable && !create.Ephemeral, "and may what was ordered: %+v", create)
	expect(slices.Equal(create.Tags, []string{tag}), "a key keeps its tags: %+v", shown)
	expect(shown.Expires.Sub(shown.Created) == time.Hour, "a key lives as long as was asked: %+v", shown)
	expect(listed(made.ID), "the list has the key")
	must(c.Keys().Delete(ctx, made.ID))
	gone, err := c.Keys().Get(ctx, made.ID)
	expect(tailscale.IsNotFound(err) || err == nil && gone.Invalid, "a deleted key is none: %+v, %v", gone, err)
	expect(!listed(made.ID), "the list has it no more")
	expect(tailscale.IsNotFound(c.Keys().Delete(ctx, made.ID)), "nor can it be deleted again")
	_, err = c.Keys().Get(ctx, "kNONE00CNTRL")
	expect(tailscale.IsNotFound(err), "what never was is not found: %v", err)
	badOrders()
	plain, err := owner().Keys().CreateAuthKey(ctx, tailscale.CreateKeyRequest{})
	must(err)
	expect(plain.Expires.Sub(plain.Created) == 90*24*time.Hour, "ninety days where nothing is asked: %+v", plain)
	must(owner().Keys().Delete(ctx, plain.ID))
}

func badOrders() {
	untagged, unknown, long, described := order(), order(), order(), order()
	untagged.Capabilities.Devices.Create.Tags = nil
	unknown.Capabilities.Devices.Create.Tags = []string{"tag:nobody-owns"}
	long.ExpirySeconds = 91 * 24 * 3600
	described.Description = strings.Repeat("x", 51)
	for what, request := range map[string]tailscale.CreateKeyRequest{
		"without tags": untagged, "of an unknown tag": unknown, "for ninety-one days": long, "with a novel": described,
	} {
		made, err := scoped().Keys().CreateAuthKey(ctx, request)
		expect(err != nil, "a key %s is refused: %+v", what, made)
		refused(err, http.StatusBadRequest)
	}
	foreigner := order()
	foreigner.Capabilities.Devices.Create.Tags = []string{tag, "tag:unrelated"}
	_, err := scoped().Keys().CreateAuthKey(ctx, foreigner)
	refused(err, http.StatusBadRequest)
}
