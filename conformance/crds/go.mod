// The definitions of Istio's kinds: scripts/install-crds copies them out of this module, and those of the others out of
// Envoy Gateway's.
module crds

go 1.26.0

require istio.io/api v1.32.0
