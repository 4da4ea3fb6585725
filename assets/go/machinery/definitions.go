package main

import (
	"encoding/json"
	"os"

	"github.com/cosi-project/runtime/pkg/resource/meta"

	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/siderolink"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// known is what the emulator serves; a type that it serves and that is not here is refused by the test.
var known = []meta.ResourceDefinitionProvider{
	&block.SystemDisk{}, &block.VolumeStatus{},
	&cluster.Info{}, &cluster.Member{},
	&config.MachineConfig{}, &config.MachineType{},
	&etcd.Member{},
	&hardware.SystemInformation{},
	&k8s.BootstrapManifestsConfig{}, &k8s.KubeletSpec{}, &k8s.Nodename{}, &k8s.NodeStatus{}, &k8s.StaticPodStatus{},
	&network.AddressStatus{}, &network.HostnameStatus{}, &network.LinkStatus{}, &network.NodeAddress{},
	&network.ResolverStatus{}, &network.RouteStatus{}, &network.Status{}, &network.TimeServerStatus{},
	&runtime.Diagnostic{}, &runtime.ExtensionStatus{}, &runtime.MachineStatus{}, &runtime.MetaKey{},
	&runtime.PlatformMetadata{}, &runtime.SecurityState{}, &runtime.Version{},
	&siderolink.Status{},
	&v1alpha1.Service{},
	&meta.ResourceDefinition{},
}

func printDefinitions() error {
	encoder := json.NewEncoder(os.Stdout)

	for _, provider := range known {
		spec := provider.ResourceDefinition()
		if err := spec.Fill(); err != nil {
			return err
		}

		columns := [][2]string{}
		for _, column := range spec.PrintColumns {
			columns = append(columns, [2]string{column.Name, column.JSONPath})
		}

		err := encoder.Encode(map[string]any{
			"type": spec.Type, "displayType": spec.DisplayType, "defaultNamespace": spec.DefaultNamespace,
			"aliases": spec.Aliases, "allAliases": spec.AllAliases, "printColumns": columns,
			"sensitivity": spec.Sensitivity,
		})
		if err != nil {
			return err
		}
	}

	return nil
}
