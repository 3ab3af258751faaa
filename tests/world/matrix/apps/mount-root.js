// React 18 and later.

import { createRoot } from 'react-dom/client';

export const mount = (tree) => createRoot(document.getElementById('root')).render(tree);
