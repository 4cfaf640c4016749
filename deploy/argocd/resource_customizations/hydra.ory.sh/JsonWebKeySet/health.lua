-- The CRD follows kstatus: status.observedGeneration is -1 until the controller has seen the resource, and there is one
-- condition each of Ready, Reconciling and Stalled. Stalled alone is Degraded, which fails a sync at once: it means that a
-- person has to change something. All other trouble is retried by the controller, and so Progressing.
local status = obj.status or {}
local annotations = obj.metadata.annotations or {}
local suspend = annotations["hydra.ory.sh/suspend"]
local isObserved = status.observedGeneration == obj.metadata.generation

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function isTrue(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local function health(healthStatus, message)
  local ready = conditions["Ready"]
  if message == nil and ready ~= nil then
    message = ready.message
  end
  return { status = healthStatus, message = message or "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  -- The message of a deletion that waits, such as for a Hydra that is away, is about the generation that began it.
  if isObserved and not isTrue("Ready") and conditions["Ready"] ~= nil then
    return health("Progressing")
  end
  return health("Progressing", "Being deleted")
end
if not isObserved then
  return health("Progressing", "Waiting for the controller")
end
if (obj.spec ~= nil and obj.spec.suspend == true) or (suspend ~= nil and suspend ~= "false") then
  return health("Suspended", "Reconciliation is suspended")
end
if isTrue("Stalled") then
  return health("Degraded")
end
if isTrue("Ready") then
  return health("Healthy")
end
return health("Progressing")
