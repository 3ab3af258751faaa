import { render } from 'react-dom';

export const show = (app) => render(app, document.getElementById('app'));
