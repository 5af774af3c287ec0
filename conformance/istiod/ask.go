package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/workloadapi"
)

// Answer is what istiod says of a case.
type Answer struct {
	Name    string    `json:"name"`
	Error   string    `json:"error,omitempty"`
	Refused []Refused `json:"refused"`
	// What the gateway was given, by name: outbound|PORT||HOST.
	Clusters map[string]Cluster `json:"clusters"`
	// What ztunnel was given.
	Services []Service `json:"services"`
	// What istiod takes the ports for.
	Ports []Port `json:"ports"`
}

// Cluster is where the gateway sends requests.
type Cluster struct {
	// Envoy's type: EDS, STRICT_DNS, ORIGINAL_DST.
	Type string `json:"type"`
	// Whether HTTP/2 is spoken.
	HTTP2 bool `json:"http2"`
	// The addresses that it tunnels to, each once.
	VIPs []string `json:"vips"`
	// The other endpoints.
	Endpoints []string `json:"endpoints"`
}

// Service is what ztunnel is given of a service, for one host.
type Service struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Host      string   `json:"host"`
	Addresses []string `json:"addresses"`
	// The waypoint's host, or its address.
	Waypoint string `json:"waypoint,omitempty"`
	// Whether its ingress traffic is to take the waypoint.
	Ingress   bool `json:"ingress"`
	Canonical bool `json:"canonical"`
	// Whether it is captured in its own namespace alone.
	OwnNamespace bool `json:"own_namespace"`
}

// Port is what istiod takes a port for.
type Port struct {
	Namespace string `json:"namespace"`
	Host      string `json:"host"`
	Number    int    `json:"number"`
	Protocol  string `json:"protocol"`
}

func (s *server) ask(ingress string, answer *Answer) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.askAsGateway(ctx, ingress, answer); err != nil {
		return fmt.Errorf("as a gateway: %w", err)
	}
	if err := s.askAsZtunnel(ctx, answer); err != nil {
		return fmt.Errorf("as ztunnel: %w", err)
	}
	for _, service := range s.istiod.XDSServer.Env.ServiceDiscovery.Services() {
		for _, port := range service.Ports {
			answer.Ports = append(answer.Ports, Port{
				service.Attributes.Namespace, string(service.Hostname), port.Port, string(port.Protocol),
			})
		}
	}
	return nil
}

func node(kind, namespace string) *corev3.Node {
	metadata, err := structpb.NewStruct(map[string]any{
		"NAMESPACE": namespace, "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.31.0", "NODE_NAME": "node",
		"SERVICE_ACCOUNT": "proxy", "LABELS": map[string]any{"app": "proxy"},
	})
	if err != nil {
		panic(err) // these are all values that it takes
	}
	id := kind + "~192.0.2.1~proxy." + namespace + "~" + namespace + ".svc.cluster.local"
	return &corev3.Node{Id: id, Metadata: metadata}
}

type sotw = discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient

// list asks for resources of a type; all of them if no name is given.
func list(stream sotw, node *corev3.Node, kind string, names []string) ([]*anypb.Any, error) {
	err := stream.Send(&discovery.DiscoveryRequest{Node: node, TypeUrl: kind, ResourceNames: names})
	if err != nil {
		return nil, err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if response.TypeUrl == kind {
			return response.Resources, nil
		}
	}
}

func (s *server) askAsGateway(ctx context.Context, namespace string, answer *Answer) error {
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(s.conn).StreamAggregatedResources(ctx)
	if err != nil {
		return err
	}
	gateway := node("router", namespace)
	clusters, err := list(stream, gateway, v3.ClusterType, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, it := range clusters {
		given := &clusterv3.Cluster{}
		if err := it.UnmarshalTo(given); err != nil {
			return err
		}
		cluster := Cluster{Type: given.GetType().String(), HTTP2: isHTTP2(given)}
		cluster.add(given.GetLoadAssignment())
		answer.Clusters[given.Name] = cluster
		if given.GetType() == clusterv3.Cluster_EDS {
			names = append(names, given.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	assignments, err := list(stream, gateway, v3.EndpointType, names)
	if err != nil {
		return err
	}
	for _, it := range assignments {
		given := &endpointv3.ClusterLoadAssignment{}
		if err := it.UnmarshalTo(given); err != nil {
			return err
		}
		cluster := answer.Clusters[given.ClusterName]
		cluster.add(given)
		answer.Clusters[given.ClusterName] = cluster
	}
	return nil
}

func isHTTP2(cluster *clusterv3.Cluster) bool {
	options := &httpv3.HttpProtocolOptions{}
	given := cluster.TypedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
	return given.UnmarshalTo(options) == nil && options.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil
}

// add takes in where an assignment leads. An endpoint behind a waypoint says so in its metadata, with the address that is
// asked for there.
func (c *Cluster) add(assignment *endpointv3.ClusterLoadAssignment) {
	vips, others := map[string]bool{}, map[string]bool{}
	for _, locality := range assignment.GetEndpoints() {
		for _, endpoint := range locality.LbEndpoints {
			tunnel := endpoint.GetMetadata().GetFilterMetadata()["envoy.filters.listener.original_dst"].GetFields()
			if tunnel["waypoint"].GetStringValue() != "" {
				vips[tunnel["local"].GetStringValue()] = true
				continue
			}
			others[text(endpoint.GetEndpoint().GetAddress())] = true
		}
	}
	c.VIPs, c.Endpoints = sorted(vips), sorted(others)
}

func text(address *corev3.Address) string {
	if socket := address.GetSocketAddress(); socket != nil {
		return net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
	}
	return address.GetEnvoyInternalAddress().GetEndpointId()
}

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for it := range set {
		list = append(list, it)
	}
	sort.Strings(list)
	return list
}

func (s *server) askAsZtunnel(ctx context.Context, answer *Answer) error {
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(s.conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	all := []string{"*"}
	request := &discovery.DeltaDiscoveryRequest{
		Node: node("ztunnel", "istio-system"), TypeUrl: v3.AddressType, ResourceNamesSubscribe: all,
	}
	if err := stream.Send(request); err != nil {
		return err
	}
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	for _, it := range response.Resources {
		given := &workloadapi.Address{}
		if err := it.Resource.UnmarshalTo(given); err != nil {
			return err
		}
		if service := given.GetService(); service != nil {
			answer.Services = append(answer.Services, serviceOf(service))
		}
	}
	return nil
}

func serviceOf(given *workloadapi.Service) Service {
	service := Service{
		Namespace: given.Namespace, Name: given.Name, Host: given.Hostname, Addresses: []string{},
		Waypoint: given.GetWaypoint().GetHostname().GetHostname(), Ingress: given.IngressUseWaypoint, Canonical: given.Canonical,
		OwnNamespace: given.Visibility == workloadapi.Service_NAMESPACE,
	}
	if address := given.GetWaypoint().GetAddress(); address != nil {
		service.Waypoint = textOf(address.Address)
	}
	for _, it := range given.Addresses {
		address := textOf(it.Address)
		if it.Length != nil {
			address += "/" + strconv.Itoa(int(*it.Length))
		}
		service.Addresses = append(service.Addresses, address)
	}
	return service
}

func textOf(bytes []byte) string {
	address, _ := netip.AddrFromSlice(bytes)
	return address.String()
}

