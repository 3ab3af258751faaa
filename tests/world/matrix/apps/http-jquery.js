// The list by jQuery, with the events that it makes of each request.

import * as module from 'jquery';
import { asked, shape, url } from './record.js';

const $ = module.default ?? module.$ ?? module.jQuery;
const lists = new WeakMap();

// ajaxStart and ajaxStop belong to whatever is under way at the same time.
for (const name of ['ajaxSend', 'ajaxSuccess', 'ajaxError', 'ajaxComplete']) {
  $(document).on(name, (event, xhr, settings) => lists.get(settings.owner)?.push(name));
}

export async function getItems() {
  const from = [];
  // A function, for jQuery copies objects.
  const owner = () => {};
  lists.set(owner, from);
  return new Promise((resolve, reject) => {
    $.ajax(url, { dataType: 'json', owner })
      .done((data, status, { status: code, statusText, readyState, responseJSON }) => {
        from.push(['done', status, code, statusText, readyState, typeof responseJSON]);
        resolve(data);
      })
      .fail((xhr, status, thrown) => {
        from.push(['fail', status, xhr.status, xhr.statusText, xhr.readyState, String(thrown), shape(xhr)]);
        reject(new Error(`${status} ${xhr.status}`));
      })
      // Global events come after this one.
      .always(() => setTimeout(() => asked(from)));
  });
}

export async function addItem(title) {
  const contentType = 'application/json';
  const data = JSON.stringify({ title });
  return $.ajax(url, { method: 'POST', contentType, data, global: false });
}
