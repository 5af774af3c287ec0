package main

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

// server is an istiod that runs.
type server struct {
	istiod *bootstrap.Server
	xds    *grpc.Server
	conn   *grpc.ClientConn
	ends   chan struct{}
}

// start runs istiod on an API server in memory that holds these objects.
func start(objects []runtime.Object) (*server, error) {
	client := kube.NewFakeClient(objects...)
	if err := define(client); err != nil {
		return nil, err
	}
	istiod, err := create(client)
	if err != nil {
		return nil, err
	}
	s := &server{istiod: istiod, xds: grpc.NewServer(), ends: make(chan struct{})}
	if err := istiod.Start(s.ends); err != nil {
		s.stop()
		return nil, fmt.Errorf("istiod does not start: %w", err)
	}
	if err := s.connect(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func create(client kube.Client) (*bootstrap.Server, error) {
	args := bootstrap.NewPilotArgs(func(args *bootstrap.PilotArgs) {
		args.PodName = "istiod"
		args.ShutdownDuration = time.Millisecond
		args.ServerOptions = bootstrap.DiscoveryServerOptions{HTTPAddr: "127.0.0.1:0"}
		args.RegistryOptions.Registries = []string{"Kubernetes"}
		options := &args.RegistryOptions.KubeOptions
		options.DomainSuffix, options.ClusterID, options.KrtDebugger = "cluster.local", "Kubernetes", args.KrtDebugger
	})
	// Without the controller that allocates addresses; those that are in the objects count all the same. It is made or not
	// made here, and nothing else reads the setting before the server starts.
	features.EnableIPAutoallocate = false
	defer func() { features.EnableIPAutoallocate = true }()
	return bootstrap.NewServer(args, func(s *bootstrap.Server) {
		// Only its own tests can give it a client.
		field := reflect.ValueOf(s).Elem().FieldByName("kubeClient")
		*(*kube.Client)(field.Addr().UnsafePointer()) = client
	})
}

// define has the API server serve Istio's and Gateway API's kinds.
func define(client kube.Client) error {
	crds := client.Metadata().(*metadatafake.FakeMetadataClient).Resource(gvr.CustomResourceDefinition)
	for _, kind := range collections.All.All() {
		if kind.IsBuiltin() {
			continue
		}
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        kind.Plural() + "." + kind.Group(),
			Annotations: map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.5.0"},
		}}
		if _, err := crds.(metadatafake.MetadataClient).CreateFake(crd, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// connect waits until istiod has computed what it was told, and connects to it.
func (s *server) connect() error {
	if !s.settles() {
		return fmt.Errorf("istiod is not done after %v", patience)
	}
	listener := bufconn.Listen(1 << 20)
	s.istiod.XDSServer.Register(s.xds)
	go func() { _ = s.xds.Serve(listener) }()
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:istiod", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<28)))
	s.conn = conn
	return err
}

const (
	patience = 20 * time.Second
	tick     = 5 * time.Millisecond
	// For so many ticks nothing new came in and nothing was left to do.
	quiet = 8
)

func (s *server) settles() bool {
	xds := s.istiod.XDSServer
	still, last := 0, int64(0)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(tick) {
		taken, done := xds.InboundUpdates.Load(), xds.CommittedUpdates.Load()
		if taken == done && taken == last && taken > 0 {
			still++
		} else {
			still = 0
		}
		if last = taken; still == quiet {
			return true
		}
	}
	return false
}

func (s *server) stop() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.xds.Stop()
	close(s.ends)
	s.istiod.WaitUntilCompletion()
}

