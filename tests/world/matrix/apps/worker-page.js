// A page that shows what its worker fetches.

import { addItem, getItems } from 'http';
import { asked, every, state, url, written } from './record.js';

let data;
const worker = new Worker(`/worker.js?${new URLSearchParams({ every, url })}`);
worker.onmessage = ({ data: { list, error, events } }) => {
  data = list ?? data;
  asked(events);
  state({ data, error });
};

window.app = {
  async write(title) {
    const { version } = await addItem(title);
    data = await getItems();
    state({ data, error: null });
    return written(version);
  },
};
