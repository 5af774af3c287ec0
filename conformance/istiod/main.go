// Command istiod says what Istio decides about sets of Kubernetes objects: istiod runs in this process, once for each
// set, on an API server in memory, and is asked over gRPC as a gateway and as ztunnel.
//
// A set is a line of JSON on standard input, {"name": …, "ingress": NAMESPACE, "objects": […]}. For each there is a line on
// standard output, in the same order.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	_ "conformance/istiod/environment"

	"istio.io/istio/pkg/log"
)

// Case is a set of objects, and where the gateway is.
type Case struct {
	Name    string            `json:"name"`
	Ingress string            `json:"ingress"`
	Objects []json.RawMessage `json:"objects"`
}

func main() {
	verbose := flag.Bool("v", false, "istiod's own log, on standard error")
	flag.Parse()
	if err := run(*verbose); err != nil {
		fmt.Fprintln(os.Stderr, "istiod:", err)
		os.Exit(1)
	}
}

func run(verbose bool) error {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	if !verbose {
		options.SetDefaultOutputLevel(log.OverrideScopeName, log.NoneLevel)
	}
	if err := log.Configure(options); err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var it Case
		if err := in.Decode(&it); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if err := out.Encode(judge(it)); err != nil {
			return err
		}
	}
}

// judge asks an istiod that has the objects of the case.
func judge(it Case) Answer {
	answer := Answer{Name: it.Name, Clusters: map[string]Cluster{}, Services: []Service{}, Ports: []Port{}}
	objects, refused := read(it.Objects)
	answer.Refused = refused
	server, err := start(objects)
	if err == nil {
		defer server.stop()
		err = server.ask(it.Ingress, &answer)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}
