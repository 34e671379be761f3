-- Healthy: a test against it would pass now.
local function said(status, condition)
  local message = condition.message
  if message == nil or message == "" then message = condition.reason end
  return { status = status, message = message }
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator" }
end
local is = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  is[condition.type] = condition
end
if is.Stalled ~= nil and is.Stalled.status == "True" then
  return said("Degraded", is.Stalled)
end
-- Nothing is wrong, and nothing happens until somebody does something.
local waits = { Suspended = true }
if is.Ready == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
if waits[is.Ready.reason] and is.Ready.status == "False" then
  return said("Suspended", is.Ready)
end
if is.Ready.status == "True" then
  return said("Healthy", is.Ready)
end
if is.Ready.status == "Unknown" or (is.Reconciling ~= nil and is.Reconciling.status == "True") then
  return said("Progressing", is.Ready)
end
return said("Degraded", is.Ready)
