// Package kubernetes has the only type of the SDK that the provider's own code needs.
package kubernetes

import "reflect"

// UntypedArgs are the inputs of an object of any kind.
type UntypedArgs map[string]any

// ElementType makes UntypedArgs an input of Pulumi.
func (UntypedArgs) ElementType() reflect.Type { return reflect.TypeFor[map[string]any]() }
