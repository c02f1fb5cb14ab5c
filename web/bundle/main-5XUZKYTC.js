import"./chunk-OHFHLFK6.js";
