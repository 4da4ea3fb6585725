// The judge of what bouquet renders: Talos's own machinery.
//
//	judge config MODES FILE…     loads each file strictly and validates it for each of the platform modes, which are separated
//	                             by commas: container, cloud, metal. @FILE stands for the files it names, a line each
//	judge bundle FILE…           loads each file as a secrets bundle and renders configs from it
//	judge new-bundle             prints a secrets bundle made by the machinery
//	judge patch CONFIG PATCH     prints CONFIG after a strategic merge with PATCH
//	judge definitions            prints the definition of each resource type of Talos's, a line of JSON each
//
// One line a file: "ok FILE" or "bad FILE: reason". The exit status is 1 if any was bad.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sync/errgroup"

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
		return each(args[2:], func(file string) error { return checkConfig(strings.Split(args[1], ","), file) })
	case len(args) >= 2 && args[0] == "bundle":
		return each(args[1:], checkBundle)
	case len(args) == 1 && args[0] == "new-bundle":
		return printNewBundle()
	case len(args) == 1 && args[0] == "definitions":
		return printDefinitions()
	case len(args) == 3 && args[0] == "patch":
		return printPatched(args[1], args[2])
	default:
		return fmt.Errorf("usage: judge config MODES FILE… | bundle FILE… | new-bundle | patch CONFIG PATCH | definitions")
	}
}

// each checks all files, as many at a time as there are processors, and tells of them in their order.
func each(args []string, check func(string) error) error {
	files, err := named(args)
	if err != nil {
		return err
	}

	errs := make([]error, len(files))

	var group errgroup.Group

	group.SetLimit(runtime.GOMAXPROCS(0))

	for i, file := range files {
		group.Go(func() error {
			errs[i] = check(file)

			return nil
		})
	}

	if err = group.Wait(); err != nil {
		return err
	}

	bad := 0

	for i, file := range files {
		if errs[i] != nil {
			bad++

			fmt.Printf("bad %s: %s\n", file, strings.ReplaceAll(errs[i].Error(), "\n", " | "))
		} else {
			fmt.Printf("ok %s\n", file)
		}
	}

	if bad > 0 {
		return fmt.Errorf("%d of %d refused", bad, len(files))
	}

	return nil
}

func named(args []string) ([]string, error) {
	if len(args) != 1 || !strings.HasPrefix(args[0], "@") {
		return args, nil
	}

	list, err := os.ReadFile(args[0][1:])

	return strings.Fields(string(list)), err
}

func checkConfig(modes []string, file string) error {
	loaded, err := configloader.NewFromFile(file)
	if err != nil {
		return err
	}

	for _, m := range modes {
		warnings, err := loaded.Validate(mode(m))
		if err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}

		if len(warnings) > 0 {
			return fmt.Errorf("%s: warnings: %s", m, strings.Join(warnings, "; "))
		}
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
