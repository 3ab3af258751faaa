// SWR, both majors.

import useSWR from 'swr';
import { addItem, getItems } from 'http';
import { mount } from 'mount';
import { every, state, url, written } from './record.js';

function App() {
  const { data, error, isValidating, isLoading, mutate } = useSWR(url, () => getItems(),
    { refreshInterval: every, errorRetryInterval: 500 });
  window.app = {
    async write(title) {
      const { version } = await addItem(title);
      await mutate();
      return written(version);
    },
  };
  state({ data, error }, { isValidating, isLoading });
  return <ul>{data?.items.map((item) => <li key={item}>{item}</li>)}</ul>;
}

mount(<App />);
