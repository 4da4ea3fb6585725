// The judge of schematic ids: the Image Factory's own package. Prints the id of each file of its arguments, a line each.
package main

import (
	"fmt"
	"os"

	"github.com/siderolabs/image-factory/pkg/schematic"
)

func main() {
	for _, file := range os.Args[1:] {
		id, err := idOf(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s\n", file, err)
			os.Exit(1)
		}

		fmt.Println(id)
	}
}

func idOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}

	parsed, err := schematic.Unmarshal(text)
	if err != nil {
		return "", err
	}

	return parsed.ID()
}
