// The judge of metrics: what `promtool check metrics` runs. Reads an exposition from standard input, prints a line for each
// problem, and fails if there is one.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func main() {
	problems, err := promlint.New(os.Stdin).Lint()
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}

	for _, problem := range problems {
		fmt.Printf("%s: %s\n", problem.Metric, problem.Text)
	}

	if len(problems) > 0 {
		os.Exit(1)
	}
}
