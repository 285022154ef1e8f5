// Ory Hydra's own command, built for the tests of Sallyport.
package main

import "github.com/ory/hydra/v2/cmd"

func main() {
	cmd.Execute()
}
