// official.mjs URL TEXT...: what Mixedbread's own client makes of the service at
// URL, as one line of JSON.
import Mixedbread from '@mixedbread/sdk';

const [baseURL, ...texts] = process.argv.slice(2);
const client = new Mixedbread({ baseURL, apiKey: 'secret', maxRetries: 0, logLevel: 'off' });
const model = 'mxbai-embed-large-v1';

// refused gives the class and the status of the error that a call ends with.
async function refused(call) {
  try {
    await call;
    return 'not at all';
  } catch (e) {
    return `${e.constructor.name} ${e.status}`;
  }
}

const many = await client.embed({ model, input: texts });
const one = await client.embeddings.create({ model, input: texts[0], dimensions: 4, normalized: false });
const stores = [];
for await (const store of client.stores.list({ limit: 1 })) stores.push(store); // follows the pages, too

console.log(
  JSON.stringify({
    many,
    one,
    stores: stores.length,
    tooMany: await refused(client.embed({ model, input: Array(257).fill('a') })),
    elsewhere: await refused(client.get('/v1/nowhere')),
  }),
);
