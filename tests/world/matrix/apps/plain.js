// No data library: one of the loops that people write, and whatever asks.

import { addItem, getItems } from 'http';
import { every, state, written } from './record.js';

let data;
let error = null;

async function load() {
  state({ data, error }, { loading: true });
  try {
    data = await getItems();
    error = null;
  } catch (reason) {
    error = reason;
  }
  state({ data, error }, { loading: false });
}

const loops = {
  interval() {
    load();
    setInterval(load, every);
  },
  async timeout() {
    await load();
    setTimeout(loops.timeout, every);
  },
  frames() {
    let last = -Infinity;
    const frame = (at) => {
      if (at - last >= every) {
        last = at;
        load();
      }
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  },
};

window.app = {
  async write(title) {
    const { version } = await addItem(title);
    await load();
    return written(version);
  },
};
loops[LOOP]();
