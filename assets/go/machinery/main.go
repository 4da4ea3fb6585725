// The judge of what bouquet renders: Talos's own machinery.
//
//	judge config MODE FILE…      loads each file strictly and validates it for the platform mode container, cloud or metal
//	judge bundle FILE…           loads each file as a secrets bundle and renders configs from it
//	judge new-bundle             prints a secrets bundle made by the machinery
//	judge patch CONFIG PATCH     prints CONFIG after a strategic merge with PATCH
//
// One line a file: "ok FILE" or "bad FILE: reason". The exit status is 1 if any was bad.
package main

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
)

type mode string

func (m mode) String() string        { return string(m) }
func (m mode) RequiresInstall() bool { return m == "metal" }
func (m mode) InContainer() bool     { return m == "container" }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "config":
		return each(args[2:], func(file string) error { return checkConfig(mode(args[1]), file) })
	case len(args) >= 2 && args[0] == "bundle":
		return each(args[1:], checkBundle)
	case len(args) == 1 && args[0] == "new-bundle":
		return printNewBundle()
	case len(args) == 3 && args[0] == "patch":
		return printPatched(args[1], args[2])
	default:
		return fmt.Errorf("usage: judge config MODE FILE… | bundle FILE… | new-bundle | patch CONFIG PATCH")
	}
}

func each(files []string, check func(string) error) error {
	bad := 0

	for _, file := range files {
		if err := check(file); err != nil {
			bad++

			fmt.Printf("bad %s: %s\n", file, strings.ReplaceAll(err.Error(), "\n", " | "))
		} else {
			fmt.Printf("ok %s\n", file)
		}
	}

	if bad > 0 {
		return fmt.Errorf("%d of %d refused", bad, len(files))
	}

	return nil
}

func checkConfig(m mode, file string) error {
	loaded, err := configloader.NewFromFile(file)
	if err != nil {
		return err
	}

	warnings, err := loaded.Validate(m)
	if err != nil {
		return err
	}

	if len(warnings) > 0 {
		return fmt.Errorf("warnings: %s", strings.Join(warnings, "; "))
	}

	return nil
}

// checkBundle also makes an admin certificate and renders both kinds of config, which use every key of the bundle.
func checkBundle(file string) error {
	bundle, err := secrets.LoadBundle(file)
	if err != nil {
		return err
	}

	if err = bundle.Validate(); err != nil {
		return err
	}

	input, err := generate.NewInput("judge", "https://192.0.2.1:6443", "1.36.0", generate.WithSecretsBundle(bundle))
	if err != nil {
		return err
	}

	if _, err = input.Talosconfig(); err != nil {
		return err
	}

	for _, kind := range []machine.Type{machine.TypeControlPlane, machine.TypeWorker} {
		rendered, err := input.Config(kind)
		if err != nil {
			return err
		}

		if _, err = rendered.Validate(mode("cloud")); err != nil {
			return err
		}
	}

	return nil
}

func printNewBundle() error {
	bundle, err := secrets.NewBundle(secrets.NewClock(), config.TalosVersionCurrent)
	if err != nil {
		return err
	}

	text, err := yaml.Marshal(bundle)
	if err != nil {
		return err
	}

	_, err = os.Stdout.Write(text)

	return err
}

func printPatched(configFile, patchFile string) error {
	loaded, err := configloader.NewFromFile(configFile)
	if err != nil {
		return err
	}

	text, err := os.ReadFile(patchFile)
	if err != nil {
		return err
	}

	patch, err := configpatcher.LoadPatch(text)
	if err != nil {
		return err
	}

	merged, err := configpatcher.Apply(configpatcher.WithConfig(loaded), []configpatcher.Patch{patch})
	if err != nil {
		return err
	}

	provider, err := merged.Config()
	if err != nil {
		return err
	}

	out, err := provider.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return err
	}

	_, err = os.Stdout.Write(out)

	return err
}
