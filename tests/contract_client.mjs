// A web client as it was written for the route that `imgcli serve` takes the place of: it knows five keys.
const [base, leaveAfter] = process.argv.slice(2);

async function* rows(prompt, model, signal) {
  const query = new URLSearchParams({ prompt, model });
  const response = await fetch(`${base}api/gen/txttoimg?${query}`, { signal });
  if (!response.ok) throw new Error((await response.json()).error);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let buffer = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    buffer += decoder.decode(value, { stream: true });
    const lines = buffer.split("\n");
    buffer = lines.pop() ?? "";
    for (const line of lines) if (line.trim()) yield JSON.parse(line);
  }
  if (buffer.trim()) yield JSON.parse(buffer);
}

const seen = [];
const leaving = new AbortController();
try {
  for await (const row of rows("a cat & a dog, ünïcode", "gpt-4o-mini", leaving.signal)) {
    const image = row.partial_image_b64s[0];
    seen.push([row.output_index, row.status, image?.length ?? 0, row.usage !== null, row.final_model]);
    if (seen.length === Number(leaveAfter)) leaving.abort();
  }
} catch (error) {
  seen.push(error.name === "AbortError" ? "left" : error.message);
}
console.log(JSON.stringify(seen));
