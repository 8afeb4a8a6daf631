// OpenAI's own client for Node.js: a response, images and an edit as streams, the models. Prints what came, as JSON.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, file] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "demo", maxRetries: 0 });
const small = { model: "gpt-image-2", size: "816x816", quality: "low" };
const tool = { type: "image_generation", ...small, partial_images: 1 };
const seen = {};

async function types(stream) {
  const found = [];
  for await (const event of stream) found.push(event.type);
  return found;
}

const response = await client.responses.create({
  model: "gpt-6-luna", input: "a fox", tools: [tool], tool_choice: { type: "image_generation" }, stream: true,
});
seen.response = [];
let id;
for await (const event of response) {
  seen.response.push(event.type);
  if (event.type === "response.completed") id = event.response.id;
}
const kept = await client.responses.retrieve(id);
seen.retrieved = [kept.status, kept.output.map((item) => item.type)];
seen.generated = await types(
  await client.images.generate({ ...small, prompt: "a fox", stream: true, partial_images: 1, output_compression: 100 }),
);
seen.edited = await types(
  await client.images.edit({ ...small, prompt: "a hat", image: await toFile(fs.createReadStream(file), null, { type: "image/png" }), stream: true, partial_images: 1 }),
);
seen.models = [];
for await (const model of client.models.list()) seen.models.push(model.id);
console.log(JSON.stringify(seen));
