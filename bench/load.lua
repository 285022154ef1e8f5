-- For wrk: sends the tokens of a file in turn. Arguments: the file, how many to leave out at first, the status that each response must have.
local requests, sent, the_thread = {}, 0, nil
-- Global, so that done() can ask for it: wrk runs that function in a state of its own.
unexpected = 0

function setup(thread)
  the_thread = thread
end

function init(args)
  for token in io.lines(args[1]) do
    wrk.headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format()
  end
  sent = tonumber(args[2])
  local expected = tonumber(args[3])
  -- wrk itself counts what is not 2xx or 3xx. A function for each response costs the load its time, so only refusals have one.
  if expected < 400 then return end
  function response(status)
    if status ~= expected then unexpected = unexpected + 1 end
  end
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done()
  print("Unexpected responses: " .. the_thread:get("unexpected"))
end
