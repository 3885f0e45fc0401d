module rig.local/kuberay

go 1.26.0

// A separate module, because `go install pkg@version` also requests the list of
// versions, which not every proxy serves.
require github.com/ray-project/kuberay/ray-operator v@VERSION@

tool github.com/ray-project/kuberay/ray-operator
