package main

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/kube"
)

// Refused is an object that istiod was not given.
type Refused struct {
	// Its place in the case.
	Index int    `json:"index"`
	Why   string `json:"why"`
}

// read makes of the objects what istiod's clients have. Those of kinds that istiod does not read are left out.
func read(given []json.RawMessage) ([]runtime.Object, []Refused) {
	var objects []runtime.Object
	refused := []Refused{}
	for index, text := range given {
		object, err := readOne(text)
		if err != nil {
			refused = append(refused, Refused{index, err.Error()})
		} else if object != nil {
			objects = append(objects, object)
		}
	}
	return objects, refused
}

func readOne(text json.RawMessage) (runtime.Object, error) {
	var object unstructured.Unstructured
	if err := json.Unmarshal(text, &object.Object); err != nil {
		return nil, err
	}
	kind := config.FromKubernetesGVK(object.GroupVersionKind())
	schema, found := collections.All.FindByGroupVersionAliasesKind(kind)
	if !found {
		return nil, nil
	}
	// The API server gives istiod the version that it asks for.
	object.SetAPIVersion(schema.APIVersion())
	text, err := json.Marshal(object.Object)
	if err != nil {
		return nil, err
	}
	typed, _, err := kube.IstioCodec.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return typed, nil
}
