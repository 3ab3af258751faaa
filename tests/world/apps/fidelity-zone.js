// The same behind zone.js, which patches whatever it finds, and so us.

import 'zone.js';
import './fidelity.js';
