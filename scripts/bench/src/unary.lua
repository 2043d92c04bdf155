-- wrk's unary load: POST, JSON, keep-alive. Arguments: BODY_FILE plain|varied
-- plain: heads alike, bodies with running numbers; varied: every head carries ids that no other has.
local POOL, FIRST = 256, 100000000
local lines, rests, bodies = {}, {}, {}
local count, varied = 0, false

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local template = file:read("*a")
  file:close()
  varied = args[2] == "varied"
  wrk.headers["Content-Type"] = "application/json"
  for i = 1, POOL do
    local text = wrk.format("POST", nil, nil, (template:gsub("@@", tostring(FIRST + i))))
    local line_end = text:find("\r\n", 1, true) + 1
    bodies[i], lines[i], rests[i] = text, text:sub(1, line_end), text:sub(line_end + 1)
  end
end

function request()
  count = count + 1
  local i = count % POOL + 1
  if not varied then return bodies[i] end
  return lines[i] .. string.format(
    "X-Request-ID: bench-%012d\r\ntraceparent: 00-%032x-%016x-01\r\n", count, count, count) .. rests[i]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50_us":%.1f,"p99_us":%.1f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
