// The list by fetch, writes by a bare XMLHttpRequest: the app goes on as soon as it hears of the answer.

import { url } from './record.js';

export { getItems } from './http-fetch.js';

export function addItem(title) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.responseType = 'json';
    xhr.onload = () => resolve(xhr.response);
    xhr.onerror = () => reject(new Error('the write failed'));
    xhr.open('POST', url);
    xhr.setRequestHeader('content-type', 'application/json');
    xhr.send(JSON.stringify({ title }));
  });
}
