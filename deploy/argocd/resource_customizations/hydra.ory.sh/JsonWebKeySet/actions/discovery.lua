local annotations = obj.metadata.annotations or {}
local suspend = annotations["hydra.ory.sh/suspend"]
local isSuspended = (obj.spec ~= nil and obj.spec.suspend == true) or (suspend ~= nil and suspend ~= "false")

local actions = {}
actions["reconcile"] = {
  ["disabled"] = isSuspended,
  ["displayName"] = "Reconcile",
  ["iconClass"] = "fa fa-fw fa-sync",
}
-- New keys of a set with imported keys come from its Secret alone.
actions["rotate"] = {
  ["disabled"] = isSuspended or (obj.spec ~= nil and obj.spec.import ~= nil),
  ["displayName"] = "Rotate",
  ["iconClass"] = "fa fa-fw fa-key",
}
return actions
