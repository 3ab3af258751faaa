// htmx: the page says what is polled, and how often; here are only its events.

import htmx from 'htmx.org';
import { asked, every, state, url, written } from './record.js';

const list = document.getElementById('list');
const names = ['beforeRequest', 'beforeSend', 'xhr:loadstart', 'xhr:progress', 'xhr:loadend',
  'beforeOnLoad', 'beforeSwap', 'afterSwap', 'afterOnLoad', 'responseError', 'sendError'];
const lists = new WeakMap();
let error = null;

const version = () => ({ version: Number(document.querySelector('#list [data-version]')?.dataset.version ?? 0) });
const isList = ({ target, detail }) => target === list || detail?.target === list;
const show = () => state({ data: version(), error });

for (const name of names) {
  document.body.addEventListener(`htmx:${name}`, (event) => {
    const { xhr } = event.detail;
    if (!xhr || !isList(event)) return;
    if (!lists.has(xhr)) lists.set(xhr, []);
    lists.get(xhr).push(name);
  });
}
document.body.addEventListener('htmx:responseError', ({ detail }) => {
  error = new Error(detail.error);
  show();
});
document.body.addEventListener('htmx:sendError', () => {
  error = new Error('not sent');
  show();
});
document.body.addEventListener('htmx:afterRequest', (event) => {
  if (!isList(event)) return;
  const { successful, failed, xhr } = event.detail;
  asked([...lists.get(xhr), { successful, failed, status: xhr.status, type: xhr.getResponseHeader('content-type') }]);
});
document.body.addEventListener('htmx:afterSwap', (event) => {
  if (!isList(event)) return;
  error = null;
  show();
});

window.app = {
  async write(title) {
    const swapped = new Promise((resolve) => {
      document.body.addEventListener('htmx:afterSettle', resolve, { once: true });
    });
    await htmx.ajax('POST', url, { values: { title }, swap: 'none' });
    await htmx.ajax('GET', url, { target: '#list', swap: 'innerHTML' });
    await swapped;
    return written(version().version);
  },
};

list.setAttribute('hx-get', url);
list.setAttribute('hx-trigger', `load, every ${every}ms`);
htmx.process(list);
