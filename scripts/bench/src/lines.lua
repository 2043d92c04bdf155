-- wrk's load of many bodies: one JSON text a line, taken in turn. In each, @@ becomes a running number of ten digits.
-- Arguments: BODY_FILE keep|close PAUSE_MS. A pause after each answer paces the load; close: a connection each.
local FIRST = 1000000000
local heads, tails = {}, {}
local count, pause_ms = 0, 0

function init(args)
  wrk.headers["Content-Type"] = "application/json"
  if args[2] == "close" then wrk.headers["Connection"] = "close" end
  pause_ms = tonumber(args[3])
  for line in io.lines(args[1]) do
    local text = wrk.format("POST", nil, nil, (line:gsub("@@", "##########")))
    local at = text:find("##########", 1, true)
    heads[#heads + 1] = at and text:sub(1, at - 1) or text
    tails[#tails + 1] = at and text:sub(at + 10) or false
  end
  if pause_ms > 0 then delay = function() return pause_ms end end
end

function request()
  local i = count % #heads + 1
  count = count + 1
  if not tails[i] then return heads[i] end
  return heads[i] .. string.format("%d", FIRST + count) .. tails[i]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50_us":%.1f,"p99_us":%.1f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
