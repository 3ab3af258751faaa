// The list by superagent.

import request from 'superagent';
import { asked, shape, url } from './record.js';

export async function getItems() {
  const events = [];
  const asking = request.get(url);
  for (const name of ['request', 'progress', 'response', 'error', 'abort', 'end']) {
    asking.on(name, (event) => events.push([name, event?.direction ?? event?.status ?? null]));
  }
  try {
    const response = await asking;
    const { status, type, body, headers, ok } = response;
    events.push({ status, type, ok, body: typeof body, total: 'x-total' in headers });
    return body;
  } catch (error) {
    events.push(shape(error));
    throw error;
  } finally {
    asked(events);
  }
}

export const addItem = async (title) => (await request.post(url).send({ title })).body;
