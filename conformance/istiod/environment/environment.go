// Package environment sets what istiod reads from its environment.
//
// istiod reads it while its packages are initialised. Go initialises packages in the order of their import paths, as far
// as their imports allow, so this one comes before all of Istio's.
package environment

import "os"

func init() {
	for name, value := range map[string]string{
		"PILOT_ENABLE_AMBIENT": "true",
		// Answers to the questions asked here, sooner.
		"PILOT_DEBOUNCE_AFTER": "5ms",
		// What writes objects. The objects of a case are those that both sides are given.
		"PILOT_ENABLE_GATEWAY_API_STATUS":                "false",
		"PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
		"AMBIENT_ENABLE_STATUS":                          "false",
		"PILOT_ENABLE_ANALYSIS":                          "false",
		"ENABLE_LEADER_ELECTION":                         "false",
		// What nobody asks for here.
		"ENABLE_CA_SERVER":               "false",
		"INJECT_ENABLED":                 "false",
		"VALIDATION_WEBHOOK_CONFIG_NAME": "",
		"INJECTION_WEBHOOK_CONFIG_NAME":  "",
		"POD_NAMESPACE":                  "istio-system",
		"CLUSTER_ID":                     "Kubernetes",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
}
