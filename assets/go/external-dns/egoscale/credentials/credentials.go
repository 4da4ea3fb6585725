// Package credentials stands where Exoscale's would.
package credentials

type Credentials struct{}

func NewStaticCredentials(string, string) *Credentials { return &Credentials{} }
