/** The entry of the build. All that the start needs is one file, see `build.js`. */

import './start.js';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/gallery.css';
import './styles/data.css';
import 'uplot/dist/uPlot.min.css';
