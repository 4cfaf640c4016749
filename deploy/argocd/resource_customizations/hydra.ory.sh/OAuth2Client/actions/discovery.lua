local annotations = obj.metadata.annotations or {}
local suspend = annotations["hydra.ory.sh/suspend"]
local isSuspended = (obj.spec ~= nil and obj.spec.suspend == true) or (suspend ~= nil and suspend ~= "false")

local actions = {}
actions["reconcile"] = {
  ["disabled"] = isSuspended,
  ["displayName"] = "Reconcile",
  ["iconClass"] = "fa fa-fw fa-sync",
}
return actions
