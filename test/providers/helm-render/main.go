// Renders a chart as `helm template` does: helm-render CHART RELEASE NAMESPACE [VALUES.yaml ...]
// Prints the rendered text of each template, by its path, as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func main() {
	if err := render(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chartFolder, release, namespace string, valuesFiles []string) error {
	chart, err := loader.Load(chartFolder)
	if err != nil {
		return err
	}
	values := map[string]interface{}{}
	for _, file := range valuesFiles {
		more, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return err
		}
		// What is in the first argument counts; null takes a default of the chart out, and so has to stay.
		values = chartutil.MergeTables(more, values)
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.30.0", Major: "1", Minor: "30"}
	if !chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, capabilities.KubeVersion.Version) {
		return fmt.Errorf("the chart is not for Kubernetes %s", capabilities.KubeVersion.Version)
	}
	// Checks the values against the chart's schema, too.
	whole, err := chartutil.ToRenderValues(chart, values, options, capabilities)
	if err != nil {
		return err
	}
	rendered, err := engine.Render(chart, whole)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rendered)
}
