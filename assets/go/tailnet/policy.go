package main

import (
	"net/http"
	"strings"
)

const (
	// Nobody owns the tag.
	unknownTag = `{"grants": [{"src": ["tag:nobody"], "dst": ["*"], "ip": ["*"]}]}`
	// The test fails.
	wrongTest = `{"grants": [], "tests": [{"src": "gardener@greenhouse.example.com", "accept": ["100.64.0.1:22"]}]}`
)

// policy: parsed and raw, validated, replaced by who has read it last.
func policy() {
	c, administrator := scoped(), owner()
	parsed, err := c.PolicyFile().Get(ctx)
	must(err)
	expect(parsed.TagOwners[tag] != nil && parsed.ETag != "", "the policy has an owner of %s: %+v", tag, parsed)
	raw, err := c.PolicyFile().Raw(ctx)
	must(err)
	expect(strings.Contains(raw.HuJSON, "// "), "the raw policy keeps its comments: %s", raw.HuJSON)
	expect(raw.ETag == parsed.ETag, "both are one document: %s, %s", raw.ETag, parsed.ETag)
	refused(c.PolicyFile().Set(ctx, raw.HuJSON, raw.ETag), http.StatusForbidden)

	must(administrator.PolicyFile().Validate(ctx, raw.HuJSON))
	must(administrator.PolicyFile().Validate(ctx, *parsed))
	for _, wrong := range []string{unknownTag, wrongTest, `{"grants": [`, `{"acls": [{"action": "deny"}]}`} {
		expect(administrator.PolicyFile().Validate(ctx, wrong) != nil, "this is not valid: %s", wrong)
		refused(administrator.PolicyFile().Set(ctx, wrong, ""), http.StatusBadRequest)
	}
	refused(administrator.PolicyFile().Set(ctx, raw.HuJSON, "another"), http.StatusPreconditionFailed)
	must(administrator.PolicyFile().Set(ctx, raw.HuJSON+"\n// changed", "ts-default"))
	refused(administrator.PolicyFile().Set(ctx, raw.HuJSON, raw.ETag), http.StatusPreconditionFailed)
	refused(administrator.PolicyFile().Set(ctx, raw.HuJSON, "ts-default"), http.StatusPreconditionFailed)
	changed, err := administrator.PolicyFile().Raw(ctx)
	must(err)
	expect(changed.ETag != raw.ETag && strings.HasSuffix(changed.HuJSON, "// changed"), "it was replaced: %s", changed.HuJSON)
	anew, err := administrator.PolicyFile().SetAndGet(ctx, *parsed, changed.ETag)
	must(err)
	expect(anew.TagOwners[tag] != nil && anew.ETag != changed.ETag, "a parsed policy is one too: %+v", anew)
	must(administrator.PolicyFile().Set(ctx, raw.HuJSON, anew.ETag))
}
