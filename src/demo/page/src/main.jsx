import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import './app.css';
import { App } from './App.jsx';
import { startMeter } from './meter.js';

const client = new QueryClient();
startMeter(client.getQueryCache());

createRoot(document.getElementById('app')).render(
  <QueryClientProvider client={client}>
    <App />
  </QueryClientProvider>,
);
