// Package v3 stands where Exoscale's client would: the module proxy does not give it. It is there to be compiled, never to be used.
package v3

import (
	"context"
	"errors"

	"github.com/exoscale/egoscale/v3/credentials"
)

var errAbsent = errors.New("built without a client for Exoscale")

type Client struct{}

type ClientOpt func(*Client) error

type Endpoint string

type UUID string

type Operation struct{}

type OperationState string

const OperationStateSuccess OperationState = "success"

type DNSDomain struct {
	ID          UUID
	UnicodeName string
}

type DNSDomainRecordType string

type DNSDomainRecord struct {
	ID            UUID
	Name, Content string
	Type          DNSDomainRecordType
	Ttl           int64
}

type CreateDNSDomainRecordRequestType string

type CreateDNSDomainRecordRequest struct {
	Name, Content string
	Type          CreateDNSDomainRecordRequestType
	Ttl           int64
}

type UpdateDNSDomainRecordRequest struct {
	Content string
	Ttl     int64
}

type ListDNSDomainsResponse struct{ DNSDomains []DNSDomain }

type ListDNSDomainRecordsResponse struct{ DNSDomainRecords []DNSDomainRecord }

func ClientOptWithEndpoint(Endpoint) ClientOpt { return func(*Client) error { return nil } }

func NewClient(*credentials.Credentials, ...ClientOpt) (*Client, error) { return nil, errAbsent }

func (*Client) ListDNSDomains(context.Context) (*ListDNSDomainsResponse, error) { return nil, errAbsent }

func (*Client) ListDNSDomainRecords(context.Context, UUID) (*ListDNSDomainRecordsResponse, error) {
	return nil, errAbsent
}

func (*Client) CreateDNSDomainRecord(context.Context, UUID, CreateDNSDomainRecordRequest) (*Operation, error) {
	return nil, errAbsent
}

func (*Client) UpdateDNSDomainRecord(context.Context, UUID, UUID, UpdateDNSDomainRecordRequest) (*Operation, error) {
	return nil, errAbsent
}

func (*Client) DeleteDNSDomainRecord(context.Context, UUID, UUID) (*Operation, error) { return nil, errAbsent }

func (*Client) Wait(context.Context, *Operation, ...OperationState) (*Operation, error) { return nil, errAbsent }
