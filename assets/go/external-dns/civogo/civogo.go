// Package civogo stands where Civo's client would: the module proxy does not give it. It is there to be compiled, never to be used.
package civogo

import "errors"

var errAbsent = errors.New("built without a client for Civo")

type Client struct{}

type Component struct{ Name, Version string }

type DNSDomain struct{ ID, Name string }

type DNSRecordType string

const (
	DNSRecordTypeA     DNSRecordType = "A"
	DNSRecordTypeCName DNSRecordType = "CNAME"
	DNSRecordTypeTXT   DNSRecordType = "TXT"
	DNSRecordTypeSRV   DNSRecordType = "SRV"
)

type DNSRecord struct {
	ID, DNSDomainID, Name, Value string
	Type                         DNSRecordType
	Priority, TTL                int
}

type DNSRecordConfig struct {
	Type          DNSRecordType
	Name, Value   string
	Priority, TTL int
}

type SimpleResponse struct{}

func NewClient(string, string) (*Client, error) { return nil, errAbsent }

func (*Client) SetUserAgent(*Component) {}

func (*Client) ListDNSDomains() ([]DNSDomain, error) { return nil, errAbsent }

func (*Client) ListDNSRecords(string) ([]DNSRecord, error) { return nil, errAbsent }

func (*Client) CreateDNSRecord(string, *DNSRecordConfig) (*DNSRecord, error) { return nil, errAbsent }

func (*Client) UpdateDNSRecord(*DNSRecord, *DNSRecordConfig) (*DNSRecord, error) { return nil, errAbsent }

func (*Client) DeleteDNSRecord(*DNSRecord) (*SimpleResponse, error) { return nil, errAbsent }
