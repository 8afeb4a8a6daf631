// Vercel's AI SDK: an image, and a stream with the image tool. Prints what came, as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { generateImage, streamText } from "ai";

const openai = createOpenAI({ baseURL: process.argv[2], apiKey: "demo" });
const { image } = await generateImage({
  model: openai.image("gpt-image-2"), prompt: "a fox", size: "816x816", maxRetries: 0,
  providerOptions: { openai: { quality: "low" } },
});
const stream = streamText({
  model: openai.responses("gpt-6-luna"), prompt: "a fox", maxRetries: 0,
  tools: { image_generation: openai.tools.imageGeneration({ model: "gpt-image-2", size: "816x816", quality: "low", partialImages: 1 }) },
});
const parts = [];
for await (const part of stream.fullStream) {
  if (part.type === "error") throw part.error;
  if (part.type === "tool-result") parts.push(part.output.result.slice(0, 8));
}
console.log(JSON.stringify({ image: [image.mediaType, image.uint8Array.length], results: parts }));
