import"./chunk-SCH63QFO.js";
