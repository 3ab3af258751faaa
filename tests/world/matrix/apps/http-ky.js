// The list by ky.

import ky from 'ky';
import { answer, asked, shape, url } from './record.js';

export async function getItems({ signal } = {}) {
  const events = [];
  const seen = (request, options, response) => { events.push(answer(response ?? request.response)); };
  try {
    return await ky.get(url, { signal, retry: 0, hooks: { afterResponse: [seen] } }).json();
  } catch (error) {
    events.push(shape(error));
    throw error;
  } finally {
    asked(events);
  }
}

export const addItem = (title) => ky.post(url, { json: { title } }).json();
