// The definitions of kinds that the API server is given: scripts/install-crds copies them out of these modules.
module crds

go 1.26.0

require (
	github.com/envoyproxy/gateway v1.9.1
	istio.io/api v1.32.0
)
