module rig.local/kuberay

go 1.26.0

// In a module of its own: `go install pkg@version` also asks for the list of
// versions, which not every proxy serves.
require github.com/ray-project/kuberay/ray-operator v@VERSION@

tool github.com/ray-project/kuberay/ray-operator
