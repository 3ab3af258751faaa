// The list by ofetch.

import { ofetch } from 'ofetch';
import { answer, asked, shape, url } from './record.js';

export async function getItems({ signal } = {}) {
  const events = [];
  const onResponse = ({ response }) => { events.push(answer(response)); };
  try {
    return await ofetch(url, { signal, retry: 0, onResponse });
  } catch (error) {
    events.push(shape(error));
    throw error;
  } finally {
    asked(events);
  }
}

export const addItem = (title) => ofetch(url, { method: 'POST', body: { title } });
