// The process that holds a pod's namespaces.
module tools/pause

go 1.23.0
