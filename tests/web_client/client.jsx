// A page as it was written for the route that `imgcli serve` takes the place of: React, TanStack Query, five keys.
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import {
  QueryClient,
  QueryClientProvider,
  experimental_streamedQuery as streamedQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";

const server = new URLSearchParams(location.search).get("server") ?? "";

async function* imageRows(prompt, signal) {
  const query = new URLSearchParams({ prompt, model: "gpt-4o-mini" });
  const response = await fetch(`${server}/api/gen/txttoimg?${query}`, { signal });
  if (!response.ok) {
    const { error, details } = await response.json();
    throw new Error(`${error}: ${details}`);
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let remaining = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (remaining + decoder.decode(value, { stream: true })).split("\n");
    remaining = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
  if (remaining) yield JSON.parse(remaining);
}

function Generator() {
  const [prompt, setPrompt] = useState(null);
  const queries = useQueryClient();
  const queryKey = ["image", prompt];
  const { data: rows = [], error, fetchStatus } = useQuery({
    queryKey,
    queryFn: streamedQuery({ streamFn: ({ signal }) => imageRows(prompt, signal) }),
    enabled: prompt !== null,
    retry: false, // each attempt costs an image, as does each of these:
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    staleTime: Infinity,
  });
  const last = rows.at(-1);
  const image = rows.findLast((row) => row.partial_image_b64s[0])?.partial_image_b64s[0];
  const failure = error?.message ?? (last?.error ? last.message : null);

  function submit(event) {
    event.preventDefault();
    setPrompt(new FormData(event.target).get("prompt"));
  }

  return (
    <form onSubmit={submit}>
      <input name="prompt" aria-label="Prompt" autoFocus />
      <button type="button" onClick={() => queries.cancelQueries({ queryKey })}>Cancel</button>
      {image && <img src={`data:image/png;base64,${image}`} alt={prompt} />}
      <output data-fetch={fetchStatus} data-index={last?.output_index}>{last?.status}</output>
      {last?.usage && <p id="usage">{`${last.final_model}: ${JSON.stringify(last.usage)}`}</p>}
      {failure && <p role="alert">{failure}</p>}
    </form>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <QueryClientProvider client={new QueryClient()}>
      <Generator />
    </QueryClientProvider>
  </StrictMode>,
);
