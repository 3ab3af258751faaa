// The list by plain fetch.

import { answer, asked, shape, url } from './record.js';

export async function getItems({ signal } = {}) {
  const events = [];
  try {
    const response = await fetch(url, { signal });
    events.push(answer(response));
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await response.json();
  } catch (error) {
    events.push(shape(error));
    throw error;
  } finally {
    asked(events);
  }
}

export async function addItem(title) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ title });
  const response = await fetch(url, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}
