// Requests with the token, and the stream of events; the token lives as long as the tab.

const KEY = "token";
const SILENCE_MS = 40_000; // the daemon says something every 15 s
export class Refused extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers() {
  if (!/^[!-~]+$/.test(token.get())) throw new Refused("that is no token"); // a header could not carry it
  return { Authorization: `Bearer ${token.get()}` };
}

async function admitted(response) {
  if (response.status === 401) throw new Refused("the token is missing or wrong");
  if (response.ok) return response;
  const { error } = await response.json();
  throw new Error([error.what, error.where, error.mend].filter(Boolean).join("; "));
}

export async function get(name) {
  const signal = AbortSignal.timeout(SILENCE_MS);
  return (await admitted(await fetch(`/api/v1/${name}`, { headers: headers(), signal }))).json();
}

export async function post(command, body) {
  const options = { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await admitted(await fetch(`/api/v1/${command}`, options))).json();
}

// Server-sent events over fetch, since EventSource can't carry a token. Returns when the stream ends, or is silent.
export async function listen(last, opened, hear) {
  const quiet = new AbortController();
  let timer = setTimeout(() => quiet.abort(), SILENCE_MS);
  const more = last ? { "Last-Event-ID": last } : {};
  const response = await admitted(await fetch("/api/v1/events", { headers: { ...headers(), ...more }, signal: quiet.signal }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  await opened();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    clearTimeout(timer);
    if (done) return;
    timer = setTimeout(() => quiet.abort(), SILENCE_MS);
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.event) hear(fields.event, JSON.parse(fields.data), fields.id);
    }
  }
}
