// A page that shows what its worker fetches.

import { addItem, getItems } from 'http';
import { asked, every, state, written } from './record.js';

let data;
const worker = new Worker(`/worker.js?every=${every}&row=${location.pathname.slice(1)}`);
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
