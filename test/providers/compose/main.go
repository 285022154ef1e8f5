// Loads a Compose file with the library of Docker Compose and prints what the tests look at, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
)

type service struct {
	Ports            []string          `json:"ports"`
	DependsOn        map[string]string `json:"dependsOn"`
	StopGraceSeconds float64           `json:"stopGraceSeconds"`
	BuildContext     string            `json:"buildContext"`
}

func main() {
	if err := print(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func print(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	services := map[string]service{}
	for name, loaded := range project.Services {
		each := service{Ports: []string{}, DependsOn: map[string]string{}}
		for _, port := range loaded.Ports {
			each.Ports = append(each.Ports, fmt.Sprintf("%s:%s:%d", port.HostIP, port.Published, port.Target))
		}
		for on, dependency := range loaded.DependsOn {
			each.DependsOn[on] = dependency.Condition
		}
		if loaded.StopGracePeriod != nil {
			each.StopGraceSeconds = time.Duration(*loaded.StopGracePeriod).Seconds()
		}
		if loaded.Build != nil {
			each.BuildContext = loaded.Build.Context
		}
		services[name] = each
	}
	return json.NewEncoder(os.Stdout).Encode(services)
}
